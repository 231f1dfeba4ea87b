#include "pool/attempt.h"

#include <nlohmann/json.hpp>

#include "build/labels.h"

namespace lambda::pool {
namespace {

namespace asio = boost::asio;
using base::ErrorKind;
using base::Result;

// What a look at the Job of that name has shown.
enum class Existing { same_event, other_event, being_deleted, gone };

const nlohmann::json& member(const nlohmann::json& object, std::string_view key) {
  static const nlohmann::json none;
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() ? *found : none;
}

Existing compare(const std::string& job_metadata, const Creation& creation) {
  const auto json = nlohmann::json::parse(job_metadata, nullptr, false);
  const nlohmann::json& metadata = member(json, "metadata");
  if (!member(metadata, "deletionTimestamp").is_null()) return Existing::being_deleted;
  const nlohmann::json& annotations = member(metadata, "annotations");
  const bool same = member(annotations, build::annotation::event_source) == creation.event_source &&
                    member(annotations, build::annotation::event_id) == creation.event_id;
  return same ? Existing::same_event : Existing::other_event;
}

// Whether the Job was created; false: one of its name exists.
asio::awaitable<Result<bool>> send_create(kube::Connection& connection, const Creation& creation,
                                          base::TimePoint deadline, bool& may_be_ours) {
  const job::Job& job = creation.job;
  Result<kube::Request> request = kube::create_job(job.namespace_name, job.body, job.content_type);
  if (!request) co_return tl::unexpected(std::move(request.error()));
  const Result<kube::Answer> answer = co_await connection.send(std::move(*request), deadline);
  const bool unclear = answer ? answer->resent || answer->status >= 500 : connection.may_have_arrived();
  may_be_ours = may_be_ours || unclear;
  if (!answer) co_return tl::unexpected(answer.error());
  if (answer->ok()) co_return true;
  base::Error error = kube::to_error(*answer);
  if (error.kind == ErrorKind::conflict) co_return false;
  co_return tl::unexpected(std::move(error));
}

asio::awaitable<Result<Existing>> look_at_existing(kube::Connection& connection, const Creation& creation,
                                                   base::TimePoint deadline) {
  Result<kube::Request> request = kube::get_job_metadata(creation.job.namespace_name, creation.job.name);
  if (!request) co_return tl::unexpected(std::move(request.error()));
  const Result<kube::Answer> answer = co_await connection.send(std::move(*request), deadline);
  if (!answer) co_return tl::unexpected(answer.error());
  if (answer->status == 404) co_return Existing::gone;
  if (!answer->ok()) co_return tl::unexpected(kube::to_error(*answer));
  co_return compare(answer->body, creation);
}

// What a 409 came to: trouble of this Job's alone, the API server works.
tl::unexpected<base::Error> after_conflict(ErrorKind kind, std::string message) {
  base::Error error{kind, std::move(message), ""};
  error.http_status = 409;
  return tl::unexpected(std::move(error));
}

tl::unexpected<base::Error> not_usable(Existing existing, const Creation& creation) {
  if (existing == Existing::other_event) {
    return after_conflict(ErrorKind::conflict,
                          "a Job named " + creation.job.name + " exists that was not made from this event");
  }
  return after_conflict(ErrorKind::unavailable, "the Job " + creation.job.name + " is just being deleted");
}

}  // namespace

asio::awaitable<Result<Found>> try_create(kube::Connection& connection, const Creation& creation,
                                          base::TimePoint deadline, bool& may_be_ours) {
  constexpr int rounds_max = 2;
  for (int round = 0; round < rounds_max; ++round) {
    const Result<bool> created = co_await send_create(connection, creation, deadline, may_be_ours);
    if (!created) co_return tl::unexpected(created.error());
    if (*created) co_return Found::created;
    const Result<Existing> existing = co_await look_at_existing(connection, creation, deadline);
    if (!existing) co_return tl::unexpected(existing.error());
    if (*existing == Existing::same_event) co_return may_be_ours ? Found::created : Found::exists;
    if (*existing != Existing::gone) co_return not_usable(*existing, creation);
  }
  co_return after_conflict(ErrorKind::unavailable,
                           "the Job " + creation.job.name + " appears and disappears");
}

}  // namespace lambda::pool
