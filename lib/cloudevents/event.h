// An event as CloudEvents 1.0 defines it, free of any transport.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace lambda::cloudevents {

/// Our bounds: what an event says about itself ends up in names and annotations, which are bounded too.
inline constexpr std::size_t attribute_max_bytes = 1024;  // of each attribute that the specification names
inline constexpr std::size_t extensions_max = 64;

/// JSON data as a value, where a decoder had to read it anyway, so that nobody needs to read it again. It
/// takes many times the memory of the text: let it go before the event has to wait for something. Two events
/// are equal whether or not they have it, as it only says what their data says.
struct ReadData {
  std::shared_ptr<const nlohmann::json> value;  // null: not read
  bool operator==(const ReadData& /*other*/) const { return true; }
};

/// An empty attribute is an absent one: the specification allows no empty values for these. The version is
/// always 1.0.
struct Event {
  std::string id;
  std::string source;
  std::string type;
  std::string subject;
  std::string time;             // RFC 3339, as it was sent
  std::string datacontenttype;  // absent: application/json, as the JSON format has it
  std::string dataschema;
  std::map<std::string, std::string, std::less<>> extensions;  // values in their canonical text form
  std::string data;  // bytes; JSON as the text that was sent, without white space around it
  ReadData read_data = {};

  bool operator==(const Event&) const = default;
};

/// Whether `datacontenttype` declares the data to be JSON. The data itself is not looked at.
bool declares_json(const Event& event);

}  // namespace lambda::cloudevents
