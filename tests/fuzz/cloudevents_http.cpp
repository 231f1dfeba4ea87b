// A request, as a block of header lines and, behind an empty line, the body. Whatever is decoded is valid,
// and is the same event after it was written and read again.
#include <vector>

#include "base/text.h"
#include "check.h"
#include "cloudevents/http.h"
#include "cloudevents/json.h"

namespace {

using lambda::cloudevents::Header;
using lambda::fuzz::check;

struct Request {
  std::string_view content_type;
  std::vector<Header> headers;
  std::string_view body;
};

Request split(std::string_view text) {
  Request request;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty()) break;
    const auto colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
    if (lambda::base::equals_ignoring_case(name, "content-type")) request.content_type = value;
    request.headers.push_back({name, value});
  }
  request.body = text;
  return request;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const Request request = split(lambda::fuzz::text(data, size));
  const auto event = lambda::cloudevents::decode_http(request.content_type, request.headers, request.body);
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
  check(event->extensions.size() <= lambda::cloudevents::extensions_max, "bounded extensions");
  const auto again = lambda::cloudevents::decode_json(lambda::cloudevents::encode_json(*event));
  check(again && *again == *event, "what is written is read back");
  return 0;
}
