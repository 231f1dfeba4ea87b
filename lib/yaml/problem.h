// What is wrong with a file that people write.
#pragma once

#include <cstddef>
#include <string>

namespace lambda::yaml {

/// `to_string` is "file:line:column: key: message".
struct Problem {
  std::string file;
  std::size_t line = 0;    // from 1; 0: the file as a whole
  std::size_t column = 0;  // from 1
  std::string key;         // "http.port"; empty: the file as a whole, or its syntax
  std::string message;
};
std::string to_string(const Problem& problem);

}  // namespace lambda::yaml
