#include "auth/token.h"

#include <algorithm>
#include <stdexcept>

#include <nlohmann/json.hpp>
#include <openssl/rand.h>

#include "base/base64.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "config/tokens_file.h"

namespace lambda::auth {
namespace {

using base::ErrorKind;

// RFC 4648 section 5, without padding, as JWTs have it.
std::optional<std::string> from_base64url(std::string_view text) {
  std::string standard(text);
  std::ranges::replace(standard, '-', '+');
  std::ranges::replace(standard, '_', '/');
  constexpr std::size_t quantum = 4;
  standard.append((quantum - standard.size() % quantum) % quantum, '=');
  return base::from_base64(standard);
}

// The claims of what looks like a JWT: header.claims.signature.
std::optional<std::string_view> claims_part(std::string_view token) {
  const std::size_t first = token.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = token.find('.', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  return token.substr(first + 1, second - first - 1);
}

}  // namespace

base::Result<std::string> bearer_token(std::string_view authorization) {
  if (authorization.empty()) {
    return base::fail(ErrorKind::unauthenticated,
                      "the request has no Authorization header; accepted: Authorization: Bearer TOKEN");
  }
  constexpr std::string_view scheme = "Bearer ";
  if (!base::equals_ignoring_case(authorization.substr(0, scheme.size()), scheme)) {
    return base::fail(ErrorKind::unauthenticated,
                      "the Authorization header has another scheme; accepted: Authorization: Bearer TOKEN");
  }
  const std::string_view token = base::trim(authorization.substr(scheme.size()));
  if (!config::is_bearer_token(token)) {
    return base::fail(ErrorKind::unauthenticated,
                      "the bearer token is malformed; accepted: 1 to 8192 bytes of ASCII without spaces");
  }
  return std::string(token);
}

TokenDigest::TokenDigest() : key_(32, '\0') {
  if (RAND_bytes(reinterpret_cast<unsigned char*>(key_.data()), static_cast<int>(key_.size())) != 1) {
    throw std::runtime_error("OpenSSL has no random numbers");  // a broken installation; nothing can go on
  }
}

std::string TokenDigest::of(std::string_view token) const {
  return base::sha256_hex({key_, token});
}

std::optional<std::chrono::system_clock::time_point> expiry_of(std::string_view token) {
  const auto part = claims_part(token);
  const auto text = part ? from_base64url(*part) : std::nullopt;
  if (!text) return std::nullopt;
  const auto claims = base::parse_json(*text);
  if (!claims || !claims->is_object()) return std::nullopt;
  const auto expiry = claims->find("exp");
  if (expiry == claims->end() || !expiry->is_number()) return std::nullopt;
  // Within what the clock can hold, whatever the token says: the year 2200 is as good as never.
  constexpr double latest_seconds = 7'258'118'400;
  const double seconds = std::clamp(expiry->get<double>(), 0.0, latest_seconds);
  return std::chrono::system_clock::time_point(std::chrono::seconds(static_cast<long long>(seconds)));
}

}  // namespace lambda::auth
