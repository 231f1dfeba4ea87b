// A message as lines of name=value and, behind an empty line, the body: as an envelope it is read, and what
// is read is written and read again the same; as something undecodable it is put into an envelope and comes
// out the same.
#include "build/dead_letter.h"

#include "check.h"
#include "message.h"

namespace {

using lambda::build::DeadLetter;
using lambda::build::Undecodable;
using lambda::fuzz::check;

void check_round_trip(const DeadLetter& letter) {
  const auto message = lambda::build::to_message(letter);
  const auto again = lambda::build::from_message(message);
  check(again && *again == letter, "what is written is read back");
  check(lambda::build::to_message(*again) == message, "and is written the same again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const lambda::fuzz::Block block = lambda::fuzz::split_block(lambda::fuzz::text(data, size), '=');
  lambda::amqp::Message message;
  Undecodable raw;
  for (const auto& [name, value] : block.headers) {
    if (name == "property content-type") {
      message.content_type = raw.content_type = value;
    } else {
      message.headers.emplace(name, value);
      raw.headers.emplace_back(name, value);
    }
  }
  message.body = raw.body = block.body;
  if (const auto letter = lambda::build::from_message(message)) check_round_trip(*letter);

  DeadLetter letter;
  letter.original = raw;
  letter.reason = "invalid";
  check_round_trip(letter);
  letter.error = raw.body;
  const auto cut = lambda::build::from_message(lambda::build::to_message(letter));
  check(cut && cut->original == letter.original, "whatever becomes of our texts, the original stays");
  check_round_trip(*cut);
  return 0;
}
