// Lines out of a stream of bytes. Pure.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace lambda::runtime {

class LineBuffer {
 public:
  explicit LineBuffer(std::size_t line_max_bytes) : line_max_bytes_(line_max_bytes) {}

  /// Calls `on_line` for each line that the bytes complete, without its end; false from it ends it. False as
  /// well if a line became longer than the bound: what follows is of no use.
  bool feed(std::string_view bytes, const std::function<bool(std::string_view)>& on_line);

  bool too_long() const { return too_long_; }

 private:
  std::size_t line_max_bytes_;
  std::string rest_;  // of a line whose end has not come yet
  bool too_long_ = false;
};

}  // namespace lambda::runtime
