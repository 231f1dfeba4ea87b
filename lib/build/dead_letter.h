// The one envelope for all that dies: a message that is the original as the Knative source reads it back, and
// beside it, in headers of our own, why it died.
//
// The headers begin with x-lambda-: no attribute of CloudEvents can have such a name, and Knative's RabbitMQ
// source passes over whatever begins with x-. All values are strings.
//
//   x-lambda-original           "event": the message is the event, as cloudevents::encode_amqp writes it;
//                               "raw": it was no event, and the body is its bytes, with its content type
//   x-lambda-reason             a word of base::ErrorKind
//   x-lambda-error              for a person
//   x-lambda-field              the field at fault
//   x-lambda-stage              "intake", "create" or "build"
//   x-lambda-attempts           how often it was tried, a decimal number from 1
//   x-lambda-first-time         of the first try, RFC 3339
//   x-lambda-last-time          of the last one
//   x-lambda-correlation-id     of the build, where known; so the next two
//   x-lambda-job-name
//   x-lambda-third-party-id
//   x-lambda-raw-headers        of "raw": the headers that it came with, in JSON
//   x-lambda-raw-headers-bytes  instead of it, if that JSON is too large for a header table: it is the body's
//                               first so many bytes, and the bytes of the original follow
//
// That JSON is {"headers": [["name", "value"]]}, in their order, and a member "content_type" if the property
// can't hold it. A text that isn't UTF-8 is {"base64": "…"} there.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "amqp/message.h"
#include "base/error.h"
#include "cloudevents/event.h"

namespace lambda::build {

/// How far it came.
enum class Stage {
  intake,  // it was not understood, or not taken
  create,  // the Job could not be created
  build,   // the Job failed
};
std::string_view to_string(Stage stage);

/// What is no event, as it arrived: any bytes, in any number, also in the headers.
struct Undecodable {
  std::vector<std::pair<std::string, std::string>> headers;  // names may repeat
  std::string content_type;
  std::string body;

  bool operator==(const Undecodable&) const = default;
};

/// Texts that are unknown are empty.
struct DeadLetter {
  std::variant<cloudevents::Event, Undecodable> original;
  std::string reason;  // base::to_string(ErrorKind)
  std::string error;   // for a person: base::describe
  std::string field;
  Stage stage = Stage::intake;
  unsigned attempts = 1;
  std::string first_time;  // RFC 3339
  std::string last_time;
  std::string correlation_id;
  std::string job_name;
  std::string third_party_id;

  bool operator==(const DeadLetter&) const = default;
};

/// Our texts are cut to so many bytes, with "…" at their end; the original never is.
inline constexpr std::size_t dead_letter_error_max_bytes = 2048;
inline constexpr std::size_t dead_letter_text_max_bytes = 256;

/// The message for the dead-letter queue. Its header table stays under 48 KiB, so that it fits into a frame
/// of AMQP's customary 128 KiB; what of the original is larger is in the body. Our texts become valid UTF-8
/// ('?' for broken bytes); a reason out of the set becomes `internal`, and a time that is none is left out.
amqp::Message to_message(const DeadLetter& letter);

/// The letter in a message, with the same original, for every event that a decoder made and any Undecodable.
/// Headers of others, as the broker's x-death, are passed over.
///
/// Errors: `unsupported` if the message has no envelope (a queue's broker dead-letters bare messages, too),
/// `invalid` if the envelope is not one that to_message writes; the header is the field.
base::Result<DeadLetter> from_message(const amqp::Message& message);

}  // namespace lambda::build
