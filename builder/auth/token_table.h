// The principals of the tokens file, by their tokens. Private to this folder.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "auth/token.h"
#include "base/error.h"
#include "base/log.h"
#include "base/time.h"
#include "config/tokens_file.h"

namespace lambda::auth {

/// Keeps digests, never the tokens. Not thread-safe.
class TokenTable {
 public:
  TokenTable(std::string file, base::Log& log) : file_(std::move(file)), log_(log) {}

  /// The principal of a token; unauthenticated if nobody has it. The file is looked at when the last look is
  /// a second old, and read when it changed. While it can't be used, the tokens that were read last hold,
  /// with a warning in the log; unavailable if it could never be read.
  base::Result<std::string> principal_of(std::string_view token, base::TimePoint now);

 private:
  void look(base::TimePoint now);
  void load();
  void warn(const std::string& trouble);

  std::string file_;
  base::Log& log_;
  TokenDigest digest_;
  std::optional<base::TimePoint> looked_at_;
  std::optional<config::FileStamp> loaded_;  // of the file as it was read last
  std::string trouble_;                      // why it can't be used now; empty: it can
  std::optional<std::unordered_map<std::string, std::string>> principals_;  // by the digest of the token
};

}  // namespace lambda::auth
