#include "runtime/line_buffer.h"

#include <utility>

namespace lambda::runtime {

bool LineBuffer::feed(std::string_view bytes, const std::function<bool(std::string_view)>& on_line) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    too_long_ = rest_.size() + part.size() > line_max_bytes_;
    if (too_long_) return false;
    if (end == std::string_view::npos) {
      rest_ += part;
      return true;
    }
    bytes.remove_prefix(end + 1);
    if (rest_.empty()) {
      if (!on_line(part)) return false;
      continue;
    }
    const std::string line = std::exchange(rest_, {}).append(part);
    if (!on_line(line)) return false;
  }
  return true;
}

}  // namespace lambda::runtime
