// Bearer tokens as text: taken from a header, named by a digest. Private to this folder; pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace lambda::auth {

/// The token of "Bearer TOKEN"; anything else is unauthenticated.
base::Result<std::string> bearer_token(std::string_view authorization);

/// Names tokens by SHA-256 over a key of this process and the token. Whoever measures how long a lookup by
/// such a digest takes learns nothing: without the key no digest can be aimed at.
class TokenDigest {
 public:
  TokenDigest();
  std::string of(std::string_view token) const;

 private:
  std::string key_;
};

/// When the token says that it ends (a JWT's `exp`), if it says so. Nothing is verified.
std::optional<std::chrono::system_clock::time_point> expiry_of(std::string_view token);

}  // namespace lambda::auth
