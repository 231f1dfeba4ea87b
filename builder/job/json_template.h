// A JSON text with gaps, for what is written again and again and differs in a few places. Private to this
// folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/json.h"
#include "job/gap.h"

namespace lambda::job {

class JsonTemplate {
 public:
  /// What fills a gap: one value, or where it is the rest of an array or object, any number of items or
  /// members. A value in an array may be followed by items.
  class Writer {
   public:
    explicit Writer(std::string& out) : out_(out) {}
    void value(std::string_view text) { base::append_json_string(out_, text); }
    void value(std::int64_t number) { out_ += std::to_string(number); }
    void item(std::string_view text) {
      out_ += ',';
      value(text);
    }
    void member(std::string_view key, std::string_view text) {
      out_ += ",\"";
      out_ += key;
      out_ += "\":";
      value(text);
    }

   private:
    std::string& out_;
  };

  explicit JsonTemplate(const nlohmann::ordered_json& value);

  /// Appends the text; `fill(writer, gap)` writes what stands in a gap.
  template <class Fill>
  void write(std::string& out, const Fill& fill) const {
    for (const Piece& piece : pieces_) {
      out += piece.text;
      if (piece.gap != Gap::none) fill(Writer(out), piece.gap);
    }
  }

 private:
  struct Piece {
    std::string text;
    Gap gap = Gap::none;  // behind the text
  };

  void append(const nlohmann::ordered_json& value);
  void append_object(const nlohmann::ordered_json& object);
  void append_array(const nlohmann::ordered_json& array);
  std::string& text();  // to which constant text is appended

  std::vector<Piece> pieces_;
};

}  // namespace lambda::job
