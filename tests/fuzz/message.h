// Input of a fuzz target as a message: a block of header lines and, behind an empty line, the body. Private
// to the targets.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

namespace lambda::fuzz {

struct Block {
  std::vector<std::pair<std::string_view, std::string_view>> headers;  // each line, parted at the separator
  std::string_view body;
};

inline Block split_block(std::string_view text, char separator) {
  Block block;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty()) break;
    const auto parted = line.find(separator);
    block.headers.emplace_back(line.substr(0, parted),
                               parted == std::string_view::npos ? "" : line.substr(parted + 1));
  }
  block.body = text;
  return block;
}

}  // namespace lambda::fuzz
