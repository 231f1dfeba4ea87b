// The file of intake.auth.tokensFile: the principals that may send, with their bearer tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "config/config.h"

namespace lambda::config {

inline constexpr std::size_t token_min_bytes = 16;
inline constexpr std::size_t token_max_bytes = 8192;

/// Whether a token can stand in an Authorization header: token_max_bytes at most, ASCII, no spaces.
bool is_bearer_token(std::string_view token);

struct PrincipalToken {
  std::string principal;
  std::string token;  // a secret
};

/// Reads `{principal: token | [tokens]}` as YAML (JSON is YAML): at least one principal, at most 4096 tokens,
/// each of token_min_bytes or more, none twice. Problems tell the place; they never quote a token.
tl::expected<std::vector<PrincipalToken>, std::vector<Problem>> parse_tokens(std::string_view yaml,
                                                                             const std::string& file);

/// Tells one state of a file from another without reading it.
struct FileStamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t bytes = 0;
  std::int64_t modified_seconds = 0;
  std::int64_t modified_nanoseconds = 0;

  bool operator==(const FileStamp&) const = default;
};

/// All zero for a file that isn't there.
FileStamp stamp_of(const std::string& file);

/// The same from a regular file of at most 1 MiB; never waits for one that is a pipe or a device.
tl::expected<std::vector<PrincipalToken>, std::vector<Problem>> load_tokens(const std::string& file);

}  // namespace lambda::config
