// An AMQP message, as lines of name=value and, behind an empty line, the body; the content type and encoding
// are lines too. Whatever is decoded is the same event after it was written and read again.
#include "base/text.h"
#include "check.h"
#include "cloudevents/amqp.h"
#include "cloudevents/json.h"
#include "message.h"

namespace {

using lambda::fuzz::check;

lambda::amqp::Message message_of(std::string_view text) {
  const lambda::fuzz::Block block = lambda::fuzz::split_block(text, '=');
  lambda::amqp::Message message;
  message.body = block.body;
  for (const auto& [name, value] : block.headers) {
    if (name == "property content-type") {
      message.content_type = value;
    } else if (name == "property content-encoding") {
      message.content_encoding = value;
    } else {
      message.headers.emplace(name, value);
    }
  }
  return message;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto event = lambda::cloudevents::decode_amqp(message_of(lambda::fuzz::text(data, size)));
  if (!event) {
    check(!event.error().message.empty(), "an error says what is wrong");
    return 0;
  }
  for (const auto* required : {&event->id, &event->source, &event->type}) {
    check(!required->empty() && required->size() <= lambda::cloudevents::attribute_max_bytes,
          "required attributes");
    check(lambda::base::is_valid_utf8(*required) && !lambda::base::has_control_character(*required),
          "clean text");
  }
  const auto written = lambda::cloudevents::encode_amqp(*event);
  std::size_t table_bytes = 0;
  for (const auto& [name, value] : written.headers) {
    check(name.size() <= lambda::cloudevents::amqp_short_string_max_bytes, "names that AMQP can carry");
    table_bytes += lambda::cloudevents::amqp_header_bytes(name, value);
  }
  check(table_bytes <= lambda::cloudevents::amqp_headers_max_bytes, "a table that fits into a frame");
  const auto again = lambda::cloudevents::decode_amqp(written);
  check(again && *again == *event, "what is written is read back");
  const auto as_json = lambda::cloudevents::decode_json(lambda::cloudevents::encode_json(*event));
  check(as_json && *as_json == *event, "and so is its JSON");
  return 0;
}
