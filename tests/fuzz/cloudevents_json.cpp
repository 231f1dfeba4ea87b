// A structured event. What is decoded is the same event after it was written and read again.
#include "check.h"
#include "cloudevents/json.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto event = lambda::cloudevents::decode_json(lambda::fuzz::text(data, size));
  if (!event) return 0;
  const std::string written = lambda::cloudevents::encode_json(*event);
  const auto again = lambda::cloudevents::decode_json(written);
  lambda::fuzz::check(again && *again == *event, "what is written is read back");
  lambda::fuzz::check(lambda::cloudevents::encode_json(*again) == written, "and is written the same again");
  return 0;
}
