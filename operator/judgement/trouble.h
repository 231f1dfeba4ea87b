// Why something is not as it should be: a reason of api/reasons.h and a message that says what to do.
#pragma once

#include <string>
#include <string_view>

namespace lambda::judgement {

struct Trouble {
  std::string_view reason;
  std::string message;

  bool operator==(const Trouble&) const = default;
};

}  // namespace lambda::judgement
