// A Job as Kubernetes' protobuf, with gaps, for what is written again and again and differs in a few places.
// Private to this folder.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"
#include "job/gap.h"
#include "kube/protobuf.h"

namespace lambda::job {

class ProtobufTemplate {
 public:
  /// As JsonTemplate::Writer.
  class Writer {
   public:
    Writer(std::string& out, std::uint32_t field_number) : out_(out), field_number_(field_number) {}
    void value(std::string_view text) { kube::protobuf::append_delimited(out_, text); }
    void value(std::int64_t number) { kube::protobuf::append_integer(out_, number); }
    void item(std::string_view text) { kube::protobuf::append_text_field(out_, field_number_, text); }
    void member(std::string_view key, std::string_view text);

   private:
    std::string& out_;
    std::uint32_t field_number_;  // of the list or map that it is in
  };

  /// Fails on what Kubernetes' schema as it is known here does not have, or has with another type, and names
  /// it; as JSON the API server may still take it.
  static base::Result<ProtobufTemplate> make(const nlohmann::ordered_json& job);

  /// Appends the bytes; `fill(writer, gap)` writes what stands in a gap.
  template <class Fill>
  void write(std::string& out, const Fill& fill) const {
    std::array<std::size_t, most_open> starts{};
    std::size_t open = 0;
    for (const Piece& piece : pieces_) {
      switch (piece.step) {
        case Step::none:
          break;
        case Step::fill:
          fill(Writer(out, piece.field_number), piece.gap);
          break;
        case Step::open:
          out.append(length_bytes, '\0');
          starts[open++] = out.size();
          break;
        case Step::close:
          write_length(out, starts[--open]);
      }
      out += piece.bytes;
    }
  }

 private:
  class Compiler;

  enum class Step : std::uint8_t { none, fill, open, close };
  struct Piece {
    Step step = Step::none;
    Gap gap = Gap::none;             // to fill
    std::uint32_t field_number = 0;  // of the list or map that the gap is in
    std::string bytes = {};          // behind it
  };

  // A message's length stands before it and is known only behind it. It is written over as many bytes each
  // time, which a reader of varints takes as well: 128 MiB and more are no Job.
  static constexpr std::size_t length_bytes = 4;
  // Of messages in messages that have a gap.
  static constexpr std::size_t most_open = 16;

  static void write_length(std::string& out, std::size_t start);

  std::vector<Piece> pieces_;
};

}  // namespace lambda::job
