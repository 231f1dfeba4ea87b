#include "api/redrive.h"

#include <array>
#include <utility>

#include "api/names.h"
#include "api/reader.h"

namespace lambda::api {
namespace {

using nlohmann::json;

constexpr std::array phases{RedrivePhase::pending, RedrivePhase::running, RedrivePhase::completed,
                            RedrivePhase::failed};
constexpr std::int64_t count_max = 2'147'483'647;
constexpr std::int64_t rate_max = 100'000;

std::string amqp_name(const Reader& reader, std::string_view name) {
  std::string found = reader.text(name);
  if (found.empty() || is_amqp_name(found)) return found;
  reader.refuse(name,
                "is no name that is accepted; accepted: letters, digits and _.:/@- up to 255 bytes, not "
                "beginning with amq.");
  return {};
}

RedriveFilter read_filter(const Reader& reader) {
  return {reader.text("reason"), reader.text("thirdPartyId"), reader.text("parserId"), reader.time("before"),
          reader.time("after")};
}

RedriveTarget read_target(const Reader& reader) {
  RedriveTarget target{amqp_name(reader, "queue"), amqp_name(reader, "exchange"), reader.text("routingKey")};
  if (!is_amqp_text(target.routing_key))
    reader.refuse("routingKey",
                  "is not accepted; accepted: UTF-8 without control characters, up to 255 bytes");
  if (!target.queue.empty() && !target.exchange.empty())
    reader.refuse("queue", "only one of queue and exchange is accepted");
  if (!target.routing_key.empty() && target.exchange.empty())
    reader.refuse("routingKey", "needs an exchange");
  return target;
}

RedriveSpec read_spec(const Reader& reader) {
  RedriveSpec spec;
  spec.queue = reader.object("queueRef").text("name");
  if (spec.queue.empty()) reader.refuse("queueRef.name", "is missing: the name of a JobQueue");
  spec.filter = read_filter(reader.object("filter"));
  spec.limit = reader.bound("limit", std::optional<std::int64_t>(), count_max);
  spec.rate = reader.bound("rate", std::optional<std::int64_t>(), rate_max);
  spec.dry_run = reader.boolean("dryRun", false);
  spec.target = read_target(reader.object("target"));
  if (reader.has("ttlSecondsAfterFinished"))
    spec.ttl_seconds_after_finished = reader.integer("ttlSecondsAfterFinished", 0, 0, count_max);
  return spec;
}

// Our own, which nobody else writes: what can't be read of it is as if it were not there.
RedriveStatus read_status(const json& object) {
  std::vector<base::Error> ignored;
  const Reader reader = Reader(object, "", ignored).object("status");
  RedriveStatus status;
  const auto count = [&](std::string_view name) { return reader.integer(name, 0, 0, INT64_MAX); };
  status.observed_generation = count("observedGeneration");
  status.phase = reader.word("phase", status.phase, phases);
  status.started_at = reader.time("startedAt");
  status.finished_at = reader.time("finishedAt");
  status.scanned = count("scanned");
  status.matched = count("matched");
  status.moved = count("moved");
  status.skipped = count("skipped");
  status.remaining = count("remaining");
  status.gone = count("gone");
  const Reader per_reason = reader.object("perReason");
  for (const std::string& reason : per_reason.names())
    status.per_reason[reason] = per_reason.integer(reason, 0, 0, INT64_MAX);
  if (const json* checkpoint = reader.find("checkpoint")) status.checkpoint = *checkpoint;
  if (const json* conditions = reader.find("conditions"))
    status.conditions = parse_conditions(*conditions).value_or(std::vector<Condition>());
  return status;
}

}  // namespace

std::string_view to_string(RedrivePhase phase) {
  switch (phase) {
    case RedrivePhase::pending:
      return "Pending";
    case RedrivePhase::running:
      return "Running";
    case RedrivePhase::completed:
      return "Completed";
    case RedrivePhase::failed:
      break;
  }
  return "Failed";
}

ReadRedrive read_redrive(const json& object) {
  ReadRedrive read;
  if (auto meta = parse_object_meta(object)) {
    read.redrive.meta = std::move(*meta);
  } else {
    read.problems.push_back(std::move(meta.error()));
  }
  const Reader reader(object, "", read.problems);
  read.redrive.spec = read_spec(reader.object("spec"));
  read.redrive.status = read_status(object);
  return read;
}

base::Result<DeadLetterRedrive> parse_redrive(const json& object) {
  ReadRedrive read = read_redrive(object);
  if (!read.problems.empty()) return tl::unexpected(std::move(read.problems.front()));
  return std::move(read.redrive);
}

json to_json(const RedriveStatus& status) {
  json out = {{"observedGeneration", status.observed_generation},
              {"phase", to_string(status.phase)},
              {"scanned", status.scanned},
              {"matched", status.matched},
              {"moved", status.moved},
              {"skipped", status.skipped},
              {"remaining", status.remaining},
              {"gone", status.gone},
              {"conditions", to_json(status.conditions)}};
  if (!status.started_at.empty()) out["startedAt"] = status.started_at;
  if (!status.finished_at.empty()) out["finishedAt"] = status.finished_at;
  if (!status.per_reason.empty()) out["perReason"] = status.per_reason;
  if (!status.checkpoint.is_null()) out["checkpoint"] = status.checkpoint;
  return out;
}

}  // namespace lambda::api
