// A message of a dead-letter queue: why it is there, whether it is one of those that are wanted, and what to
// send back. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "amqp/message.h"
#include "base/error.h"
#include "base/time.h"
#include "cloudevents/event.h"

namespace lambda::redrive {

/// What a letter says about its death, whoever put it there.
struct Letter {
  /// The builder's and the operator's: a word of base::ErrorKind. The broker's, by a queue's bounds: expired,
  /// maxlen, rejected, delivery_limit. A trigger's that was given up on: undelivered. Else unknown.
  std::string reason;
  /// When it died; of letters that don't say it, when the event happened, which is earlier. None: not known.
  std::optional<base::CalendarTime> died;
  bool build_failed = false;   // its Job was created, so the event needs a new one
  std::string third_party_id;  // where the letter says it
  /// The event as it was before it died. None: what died was no event.
  std::optional<cloudevents::Event> event;
};

Letter read_letter(const amqp::Message& message);

/// All that is set has to hold. A letter of which it is not known does not match.
struct Filter {
  std::string reason;
  std::string third_party_id;                // the letter's, or that of the event's data
  std::string parser_id;                     // of the event's data
  std::optional<base::CalendarTime> before;  // it died earlier than that
  std::optional<base::CalendarTime> after;   // then, or later
};

/// What is to become of a letter.
enum class Verdict {
  move,
  filtered,     // it does not match
  undecodable,  // it matches, but is no event: there is nothing that a builder could make of it
  exhausted,    // it matches, but the event has no room for another attempt
};
std::string_view to_string(Verdict verdict);

/// Of a letter that is to be moved, the event to send is in `letter.event` then: its identity is that of the
/// original, but for the attempt after a failed build.
Verdict judge(const Filter& filter, Letter& letter);

}  // namespace lambda::redrive
