#include "lint/known_fields.h"

#include <algorithm>
#include <span>
#include <string_view>

#include "api/job_queue.h"
#include "api/redrive.h"

namespace lambda::lint {
namespace {

using nlohmann::json;

constexpr std::string_view job_queue[] = {
    "spec.rabbitmq.clusterReference.name",
    "spec.rabbitmq.clusterReference.namespace",
    "spec.rabbitmq.connectionSecret.name",
    "spec.rabbitmq.connectionSecret.namespace",
    "spec.rabbitmq.vhost",
    "spec.path",
    "spec.management",
    "spec.queue.name",
    "spec.queue.type",
    "spec.queue.messageTtl",
    "spec.queue.maxLength",
    "spec.queue.overflow",
    "spec.queue.deliveryLimit",
    "spec.deadLetter.exchange",
    "spec.deadLetter.exchangeType",
    "spec.deadLetter.routingKey",
    "spec.deadLetter.queue",
    "spec.deadLetter.strategy",
    "spec.deadLetter.messageTtl",
    "spec.deadLetter.maxLength",
    "spec.deadLetter.deliveryLimit",
    "spec.routing.exchange",
    "spec.routing.exchangeType",
    "spec.routing.keys",
    "spec.source.enabled",
    "spec.source.parallelism",
    "spec.source.delivery.retry",
    "spec.source.delivery.backoffPolicy",
    "spec.source.delivery.backoffDelay",
    "spec.trigger.name",
    "spec.trigger.broker.name",
    "spec.trigger.broker.namespace",
    "spec.trigger.broker.create",
    "spec.trigger.filter.*",
    "spec.trigger.subscriber.ref.apiVersion",
    "spec.trigger.subscriber.ref.kind",
    "spec.trigger.subscriber.ref.name",
    "spec.trigger.subscriber.ref.namespace",
    "spec.trigger.subscriber.uri",
    "spec.trigger.delivery.retry",
    "spec.trigger.delivery.backoffPolicy",
    "spec.trigger.delivery.backoffDelay",
    "spec.trigger.delivery.timeout",
    "spec.trigger.delivery.deadLetterSink.ref.apiVersion",
    "spec.trigger.delivery.deadLetterSink.ref.kind",
    "spec.trigger.delivery.deadLetterSink.ref.name",
    "spec.trigger.delivery.deadLetterSink.ref.namespace",
    "spec.trigger.delivery.deadLetterSink.uri",
    "spec.trigger.parallelism",
    "spec.deletionPolicy",
    "spec.driftInterval",
};

constexpr std::string_view redrive[] = {
    "spec.queueRef.name",
    "spec.filter.reason",
    "spec.filter.thirdPartyId",
    "spec.filter.parserId",
    "spec.filter.before",
    "spec.filter.after",
    "spec.limit",
    "spec.rate",
    "spec.dryRun",
    "spec.target.queue",
    "spec.target.exchange",
    "spec.target.routingKey",
    "spec.ttlSecondsAfterFinished",
};

using Known = std::span<const std::string_view>;

Known known_of(std::string_view kind) {
  if (kind == api::job_queue_kind) return job_queue;
  if (kind == api::redrive_kind) return redrive;
  return {};
}

bool is_known(Known known, const std::string& path) {
  return std::any_of(known.begin(), known.end(), [&](std::string_view field) {
    return field == path || (field.starts_with(path) && field[path.size()] == '.');
  });
}

bool takes_any_name(Known known, const std::string& path) {
  return std::find(known.begin(), known.end(), path + ".*") != known.end();
}

void find_unknown(Known known, const json& object, const std::string& path,
                  std::vector<std::string>& unknown) {
  if (!object.is_object() || takes_any_name(known, path)) return;
  for (const auto& [name, value] : object.items()) {
    const std::string member = path + "." + name;
    if (is_known(known, member)) {
      find_unknown(known, value, member, unknown);
    } else {
      unknown.push_back(member);
    }
  }
}

}  // namespace

std::vector<std::string> unknown_fields(const json& object) {
  std::vector<std::string> unknown;
  find_unknown(known_of(object.value("kind", "")), object.value("spec", json()), "spec", unknown);
  return unknown;
}

std::vector<std::string> known_fields(const std::string& kind) {
  const Known known = known_of(kind);
  return {known.begin(), known.end()};
}

}  // namespace lambda::lint
