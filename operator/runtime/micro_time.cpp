#include "runtime/micro_time.h"

#include <chrono>

#include "base/time.h"

namespace lambda::runtime {

std::string micro_time_now() {
  std::string text = base::format_rfc3339(std::chrono::system_clock::now());
  text.insert(text.size() - 1, "000");
  return text;
}

}  // namespace lambda::runtime
