// A batch. Each event that is read has its own text: alone it is read as the same event.
#include "check.h"
#include "cloudevents/json.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using lambda::fuzz::check;
  constexpr std::size_t events_max = 100;
  const auto events = lambda::cloudevents::decode_json_batch(lambda::fuzz::text(data, size), events_max);
  if (!events) {
    check(!events.error().message.empty(), "an error says what is wrong");
    return 0;
  }
  check(events->size() <= events_max, "no more events than are accepted");
  std::string again = "[";
  for (std::size_t i = 0; i < events->size(); ++i) {
    const auto& event = (*events)[i];
    again.append(i == 0 ? "" : " ,").append(event ? lambda::cloudevents::encode_json(*event) : "null");
    if (!event) {
      check(event.error().field.starts_with("[" + std::to_string(i) + "]"), "an error names its place");
      continue;
    }
    const auto alone = lambda::cloudevents::decode_json(lambda::cloudevents::encode_json(*event));
    check(alone && *alone == *event, "what is written is read back");
  }
  const auto read_again = lambda::cloudevents::decode_json_batch(again + "]", events_max);
  check(read_again && read_again->size() == events->size(), "a batch of what was read is a batch");
  for (std::size_t i = 0; i < events->size(); ++i) {
    const auto& event = (*events)[i];
    check(event.has_value() == (*read_again)[i].has_value(), "of the same events");
    check(!event || *event == *(*read_again)[i], "in the same order");
  }
  return 0;
}
