#include "builds/plain_text.h"

#include "base/text.h"
#include "builds/verdict.h"

namespace lambda::builds {
namespace {

constexpr char escape = '\x1b';
constexpr char bell = '\x07';

bool is_between(char c, char first, char last) {
  return first <= c && c <= last;
}

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

// ECMA-48: parameter and intermediate bytes, then a final one.
std::size_t end_of_control_sequence(std::string_view text, std::size_t at) {
  while (at < text.size() && is_between(text[at], '\x20', '\x3f')) ++at;
  return at < text.size() && is_between(text[at], '\x40', '\x7e') ? at + 1 : at;
}

// A title or a hyperlink: up to a bell or ESC \. One without an end goes to the end of its line.
std::size_t end_of_command_string(std::string_view text, std::size_t at) {
  for (; at < text.size() && text[at] != '\n'; ++at) {
    if (text[at] == bell) return at + 1;
    if (text[at] == escape) return at + 1 < text.size() && text[at + 1] == '\\' ? at + 2 : at;
  }
  return at;
}

std::size_t end_of_escape(std::string_view text, std::size_t at) {
  ++at;
  if (at >= text.size()) return at;
  if (text[at] == '[') return end_of_control_sequence(text, at + 1);
  if (text[at] == ']') return end_of_command_string(text, at + 1);
  while (at < text.size() && is_between(text[at], '\x20', '\x2f')) ++at;
  return at < text.size() && is_between(text[at], '\x30', '\x7e') ? at + 1 : at;
}

// U+0080 to U+009F
bool is_c1_control(std::string_view text, std::size_t at) {
  return text[at] == '\xC2' && at + 1 < text.size() && is_between(text[at + 1], '\x80', '\x9F');
}

bool is_c0_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == '\x7f';
}

// '\0' for what has none.
char plain_form(std::string_view text, std::size_t at) {
  const char c = text[at];
  if (c == '\r') return at + 1 < text.size() && text[at + 1] == '\n' ? '\0' : '\n';
  if (c == '\t') return ' ';
  return is_c0_control(c) && c != '\n' ? '\0' : c;
}

// A log that was cut begins in the middle of a character at worst.
std::string_view from_first_character(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size() && at < 3 && is_continuation(text[at])) ++at;
  return text.substr(at);
}

}  // namespace

std::string plain_text(std::string_view raw) {
  const std::string text = base::to_valid_utf8(from_first_character(raw));
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == escape) {
      at = end_of_escape(text, at);
    } else if (is_c1_control(text, at)) {
      at += 2;
    } else {
      const char plain = plain_form(text, at);
      if (plain != '\0') out += plain;
      ++at;
    }
  }
  return out;
}

std::string one_line(std::string_view raw) {
  const std::string text = plain_text(raw);
  std::string out;
  for (const char c : text) {
    const bool is_space = c == ' ' || c == '\n';
    if (!is_space) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return base::cut(out, message_max_bytes);
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    out.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return out;
}

std::string clean_log_tail(std::string_view raw, std::size_t max_bytes) {
  const std::string text = plain_text(raw);
  std::string_view tail = text;
  while (tail.starts_with('\n')) tail.remove_prefix(1);
  while (tail.ends_with('\n')) tail.remove_suffix(1);
  if (tail.size() <= max_bytes) return std::string(tail);
  const bool begins_with_line = tail[tail.size() - max_bytes - 1] == '\n';
  tail.remove_prefix(tail.size() - max_bytes);
  const std::size_t line_end = begins_with_line ? std::string_view::npos : tail.find('\n');
  if (line_end != std::string_view::npos) tail.remove_prefix(line_end + 1);
  while (!tail.empty() && (is_continuation(tail.front()) || tail.front() == '\n')) tail.remove_prefix(1);
  return std::string(tail);
}

}  // namespace lambda::builds
