#include "config/tokens_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "yaml/document.h"
#include "yaml/file.h"

namespace lambda::config {

using namespace yaml;
namespace {

constexpr std::size_t name_max_bytes = 256;
constexpr std::size_t tokens_max = 4096;

// Collects what one document says; the first thing wrong with a token is enough about that token.
class TokensReader {
 public:
  explicit TokensReader(const std::string& file) : file_(file) {}

  void read(const YamlValue& document) {
    if (document.kind != YamlValue::Kind::map || document.children.empty()) {
      return refuse(document.place, "holds no principals; accepted: a map {principal: token or [tokens]}");
    }
    for (std::size_t i = 0; i + 1 < document.children.size(); i += 2) {
      read_principal(document.children[i], document.children[i + 1]);
    }
  }

  tl::expected<std::vector<PrincipalToken>, std::vector<Problem>> take() {
    if (!problems_.empty()) return tl::unexpected(std::move(problems_));
    return std::move(tokens_);
  }

 private:
  void refuse(Place place, std::string message) {
    problems_.push_back({file_, place.line, place.column, "", std::move(message)});
  }

  void read_principal(const YamlValue& name, const YamlValue& value) {
    if (const char* const wrong = wrong_with_name(name)) return refuse(name.place, wrong);
    if (!principals_.insert(name.text).second) {
      return refuse(name.place, "the principal is repeated; accepted: one entry with a list of tokens");
    }
    if (value.kind != YamlValue::Kind::list) return read_token(name, value);
    if (value.children.empty()) return refuse(name.place, "the principal has an empty list of tokens");
    for (const YamlValue& token : value.children) read_token(name, token);
  }

  static const char* wrong_with_name(const YamlValue& name) {
    const bool good = name.kind == YamlValue::Kind::scalar && !name.text.empty() &&
                      name.text.size() <= name_max_bytes && base::is_valid_utf8(name.text) &&
                      !base::has_control_character(name.text);
    return good ? nullptr
                : "a principal's name has to be a text of 1 to 256 bytes without control characters";
  }

  void read_token(const YamlValue& name, const YamlValue& value) {
    const Place place = value.kind == YamlValue::Kind::scalar ? value.place : name.place;
    if (const char* const wrong = wrong_with_token(value)) return refuse(place, wrong);
    if (tokens_.size() == tokens_max) return refuse(place, "more than 4096 tokens");
    if (!seen_.insert(value.text).second)
      return refuse(place, "the token is repeated; accepted: each token once");
    tokens_.push_back({name.text, value.text});
  }

  static const char* wrong_with_token(const YamlValue& value) {
    if (value.kind != YamlValue::Kind::scalar) return "a token has to be a text";
    if (value.text.size() < token_min_bytes)
      return "a token is shorter than 16 bytes, the least that is accepted";
    if (value.text.size() > token_max_bytes)
      return "a token is longer than 8192 bytes, the most that is accepted";
    if (!is_bearer_token(value.text)) return "a token has to be ASCII without spaces and control characters";
    return nullptr;
  }

  const std::string& file_;
  std::vector<Problem> problems_;
  std::vector<PrincipalToken> tokens_;
  std::set<std::string> principals_;
  std::set<std::string> seen_;
};

class Descriptor {
 public:
  explicit Descriptor(const std::string& file)
      : number_(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

// One byte more than is accepted tells that there is more. Nothing on an error, which errno then says.
std::optional<std::string> read_all(int descriptor) {
  std::string content;
  std::array<char, 65536> part{};
  while (content.size() <= file_max_bytes) {
    const ssize_t count = ::read(descriptor, part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::nullopt;
    if (count == 0) break;
    content.append(part.data(), static_cast<std::size_t>(count));
  }
  return content;
}

}  // namespace

bool is_bearer_token(std::string_view token) {
  return !token.empty() && token.size() <= token_max_bytes &&
         std::ranges::all_of(token, [](char c) { return c > ' ' && c < '\x7F'; });
}

tl::expected<std::vector<PrincipalToken>, std::vector<Problem>> parse_tokens(std::string_view yaml,
                                                                             const std::string& file) {
  if (yaml.size() > file_max_bytes) return refuse_file(file, "larger than 1 MiB, the most that is accepted");
  const auto document = read_yaml(yaml);
  if (!document) {
    // The parser's own words may quote what stands there, and that may be a token.
    return refuse_file(file, "this is not plain YAML (one document, no anchors or aliases)",
                       document.error().place);
  }
  TokensReader reader(file);
  reader.read(*document);
  return reader.take();
}

FileStamp stamp_of(const std::string& file) {
  struct stat found{};
  if (::stat(file.c_str(), &found) != 0) return {};
  return {found.st_dev, found.st_ino, found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec};
}

tl::expected<std::vector<PrincipalToken>, std::vector<Problem>> load_tokens(const std::string& file) {
  const Descriptor opened(file);
  if (opened.number() < 0) return refuse_file(file, std::string("can't be read: ") + std::strerror(errno));
  struct stat found{};
  if (::fstat(opened.number(), &found) != 0 || !S_ISREG(found.st_mode)) {
    return refuse_file(file, "can't be read: it is no regular file");
  }
  const std::optional<std::string> yaml = read_all(opened.number());
  if (!yaml) return refuse_file(file, std::string("can't be read: ") + std::strerror(errno));
  return parse_tokens(*yaml, file);
}

}  // namespace lambda::config
