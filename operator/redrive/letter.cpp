#include "redrive/letter.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "build/attempt.h"
#include "build/dead_letter.h"
#include "cloudevents/amqp.h"

namespace lambda::redrive {
namespace {

using base::CalendarTime;
using base::Result;
using cloudevents::Event;

// What Knative's dispatcher adds to an event that it gives up on.
constexpr std::array<std::string_view, 3> knative_attributes{"knativeerrordest", "knativeerrorcode",
                                                             "knativeerrordata"};

std::optional<CalendarTime> time_of(std::string_view text) {
  const auto time = base::parse_rfc3339(text);
  // Knative's broker writes the year 1 for an event without a time.
  if (!time || *time < CalendarTime()) return std::nullopt;
  return time;
}

// The broker's words. A publisher may write an x-death of its own, so nothing else is believed.
bool is_death_reason(std::string_view text) {
  constexpr std::array<std::string_view, 4> reasons{"expired", "maxlen", "rejected", "delivery_limit"};
  return std::ranges::find(reasons, text) != reasons.end();
}

// Whether it had any.
bool remove_knative_attributes(Event& event) {
  bool found = false;
  for (const std::string_view name : knative_attributes) {
    const auto attribute = event.extensions.find(name);
    if (attribute == event.extensions.end()) continue;
    event.extensions.erase(attribute);
    found = true;
  }
  return found;
}

Letter read_envelope(build::DeadLetter envelope) {
  Letter letter;
  letter.reason = std::move(envelope.reason);
  letter.died = time_of(envelope.last_time);
  letter.build_failed = envelope.stage == build::Stage::build;
  letter.third_party_id = std::move(envelope.third_party_id);
  if (auto* const event = std::get_if<Event>(&envelope.original)) {
    remove_knative_attributes(*event);
    letter.event = std::move(*event);
  }
  return letter;
}

Letter read_bare(const amqp::Message& message) {
  Letter letter;
  letter.reason = "unknown";
  if (auto event = cloudevents::decode_amqp(message)) {
    if (remove_knative_attributes(*event)) letter.reason = "undelivered";
    letter.event = std::move(*event);
  }
  if (message.death && is_death_reason(message.death->reason)) letter.reason = message.death->reason;
  if (message.death) letter.died = time_of(message.death->time);
  return letter;
}

// The text field of the event's data, which both kinds of events have at its top.
std::string data_text(const Letter& letter, const char* name) {
  if (!letter.event) return {};
  const Result<nlohmann::json> data = base::parse_json(letter.event->data);
  if (!data || !data->is_object()) return {};
  const auto found = data->find(name);
  return found != data->end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool matches(const Filter& filter, const Letter& letter) {
  if (!filter.reason.empty() && filter.reason != letter.reason) return false;
  if (filter.before && !(letter.died && *letter.died < *filter.before)) return false;
  if (filter.after && !(letter.died && *letter.died >= *filter.after)) return false;
  if (!filter.third_party_id.empty() && letter.third_party_id != filter.third_party_id &&
      data_text(letter, "third_party_id") != filter.third_party_id)
    return false;
  return filter.parser_id.empty() || data_text(letter, "parser_id") == filter.parser_id;
}

// Whether the event has one attempt more now.
bool count_attempt(Event& event) {
  const auto attempt = build::redrive_attempt(event);
  if (!attempt || *attempt >= build::attempt_max) return false;
  build::set_redrive_attempt(event, *attempt + 1);
  return event.extensions.size() <= cloudevents::extensions_max;
}

}  // namespace

Letter read_letter(const amqp::Message& message) {
  auto envelope = build::from_message(message);
  // One that has an envelope, but not as we write it, is not trusted: its stage decides about the attempt.
  if (!envelope && envelope.error().kind != base::ErrorKind::unsupported)
    return {"unknown", {}, false, {}, {}};
  Letter letter = envelope ? read_envelope(std::move(*envelope)) : read_bare(message);
  if (!letter.died && letter.event) letter.died = time_of(letter.event->time);
  return letter;
}

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::move:
      return "move";
    case Verdict::filtered:
      return "filtered";
    case Verdict::undecodable:
      return "undecodable";
    case Verdict::exhausted:
      break;
  }
  return "exhausted";
}

Verdict judge(const Filter& filter, Letter& letter) {
  if (!matches(filter, letter)) return Verdict::filtered;
  if (!letter.event) return Verdict::undecodable;
  if (letter.build_failed && !count_attempt(*letter.event)) return Verdict::exhausted;
  return Verdict::move;
}

}  // namespace lambda::redrive
