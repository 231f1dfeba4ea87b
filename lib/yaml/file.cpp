#include "yaml/file.h"

#include <cerrno>
#include <cstring>
#include <fstream>

namespace lambda::yaml {

std::string to_string(const Problem& problem) {
  std::string out = problem.file;
  if (problem.line > 0) out += ":" + std::to_string(problem.line) + ":" + std::to_string(problem.column);
  if (!problem.key.empty()) out += ": " + problem.key;
  return out + ": " + problem.message;
}

tl::unexpected<std::vector<Problem>> refuse_file(const std::string& file, std::string message, Place place) {
  return tl::unexpected(std::vector<Problem>{{file, place.line, place.column, "", std::move(message)}});
}

tl::expected<std::string, std::vector<Problem>> read_file(const std::string& file) {
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  std::string text(file_max_bytes + 1, '\0');
  if (stream) stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  // A folder opens but does not read; a short file sets failbit, never badbit.
  if (!stream.is_open() || stream.bad()) {
    return refuse_file(file, std::string("can't be read: ") + std::strerror(errno));
  }
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return text;
}

tl::expected<YamlValue, std::vector<Problem>> parse_file(std::string_view text, const std::string& file) {
  if (text.size() > file_max_bytes) {
    return refuse_file(file,
                       "larger than " + std::to_string(file_max_bytes) + " bytes, the most that is accepted");
  }
  const auto document = read_yaml(text);
  if (!document) return refuse_file(file, document.error().message, document.error().place);
  return *document;
}

}  // namespace lambda::yaml
