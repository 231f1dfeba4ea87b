#include "builds/failure.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <ranges>
#include <vector>

#include "builds/plain_text.h"
#include "builds/reasons.h"

namespace lambda::builds {
namespace {

using build::FailureClass;

// An error that quotes a server's answer may have several lines.
constexpr std::size_t error_max_lines = 8;

constexpr std::string_view error_prefix = "Error: ";  // of the library that reads Kaniko's arguments

// The stages of a build, as Kaniko's last error begins with them.
constexpr std::string_view in_context = "error resolving source context";
constexpr std::string_view in_dockerfile_path = "error resolving dockerfile path";
constexpr std::string_view in_push_check = "error checking push permissions";
constexpr std::string_view in_build = "error building image";
constexpr std::string_view in_push = "error pushing image";

constexpr std::array stages{in_context, in_dockerfile_path, in_push_check, in_build, in_push};
constexpr std::array own_troubles{std::string_view("error resolving relative paths"),
                                  std::string_view("error changing to root dir"),
                                  std::string_view("kaniko should only be run inside of a container")};

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool has_any(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::ranges::any_of(parts, [&](std::string_view part) { return has(text, part); });
}

bool starts_with_any(std::string_view line, const auto& beginnings) {
  return std::ranges::any_of(beginnings, [&](std::string_view each) { return line.starts_with(each); });
}

bool is_error(std::string_view line) {
  return line.starts_with(error_prefix) || starts_with_any(line, stages) ||
         starts_with_any(line, own_troubles);
}

bool is_of_usage(std::string_view line) {
  constexpr std::array headings{std::string_view("Usage:"),         std::string_view("Aliases:"),
                                std::string_view("Examples:"),      std::string_view("Available Commands:"),
                                std::string_view("Flags:"),         std::string_view("Global Flags:"),
                                std::string_view("Use \"executor ")};
  return line.empty() || line.starts_with("  ") || starts_with_any(line, headings);
}

// From the last line that begins as Kaniko's errors do, if it is near enough to the end.
std::string_view last_error(std::string_view log) {
  while (log.ends_with('\n')) log.remove_suffix(1);
  const std::vector<std::string_view> lines = split_lines(log);
  for (const std::string_view line : std::views::reverse(lines) | std::views::take(error_max_lines)) {
    if (is_error(line)) return log.substr(static_cast<std::size_t>(line.data() - log.data()));
  }
  return {};
}

bool is_network_trouble(std::string_view error) {
  return has_any(
      error, {"connection refused", "connection reset", "i/o timeout", "TLS handshake timeout",
              "context deadline exceeded", "no route to host", "network is unreachable", "server misbehaving",
              "Client.Timeout exceeded", "TOOMANYREQUESTS", "500 Internal Server Error", "502 Bad Gateway",
              "503 Service Unavailable", "504 Gateway Timeout", "x509: "});
}

bool is_refusal(std::string_view error) {
  return has_any(error, {"UNAUTHORIZED", "DENIED", "401 Unauthorized", "403 Forbidden", "NAME_UNKNOWN",
                         "TAG_INVALID", "MANIFEST_INVALID", "405 Method Not Allowed", "immutable"});
}

struct Kind {
  FailureClass failure_class;
  std::string_view reason;
};

// "GET https://host/v2/…: MANIFEST_UNKNOWN: …" or "Get \"https://host/v2/\": dial tcp: …"
bool is_about_registry(std::string_view error) {
  return has_any(error, {"/v2/", "MANIFEST_UNKNOWN", "NAME_UNKNOWN", "no such host"});
}

Kind kind_of_build_error(std::string_view error) {
  if (has(error, "no space left on device")) return {FailureClass::infrastructure, reason::disk_full};
  if (has_any(error, {"waiting for process to exit", "starting command"})) {
    return {FailureClass::dockerfile, reason::command_failed};
  }
  if (has_any(error, {"parsing dockerfile", "dockerfile parse error", "reading dockerfile at path",
                      "Error finding target stage", "expanding meta ARGs", "is not a supported command"})) {
    return {FailureClass::dockerfile, reason::dockerfile_invalid};
  }
  if (has_any(error, {"failed to get files used from context", "failed to get fileinfo", "resolving src",
                      "could not copy source", "copying file", "copying dir", "copying symlink",
                      "executing copy command", "downloading remote source file", "copy failed"})) {
    return {FailureClass::dockerfile, reason::copy_failed};
  }
  if (is_network_trouble(error)) return {FailureClass::infrastructure, reason::registry_unreachable};
  if (is_about_registry(error)) return {FailureClass::dockerfile, reason::base_image_unavailable};
  return {FailureClass::dockerfile, reason::instruction_failed};
}

Kind kind_of_push_error(std::string_view error) {
  return {FailureClass::push, is_refusal(error) ? reason::push_refused : reason::push_failed};
}

Kind kind_of(std::string_view error) {
  if (error.starts_with(in_context)) return {FailureClass::source, reason::source_unavailable};
  if (error.starts_with(in_dockerfile_path)) return {FailureClass::dockerfile, reason::dockerfile_missing};
  if (error.starts_with(in_push_check) || error.starts_with(in_push)) return kind_of_push_error(error);
  if (error.starts_with(in_build)) return kind_of_build_error(error);
  return {FailureClass::infrastructure, reason::kaniko_refused};
}

}  // namespace

// The page goes to the end of the log, or it is none: a command can print its beginning.
std::string_view without_usage(std::string_view plain_log) {
  const std::vector<std::string_view> lines = split_lines(plain_log);
  std::size_t begin = std::string_view::npos;
  for (const std::string_view line : std::views::reverse(lines)) {
    if (!is_of_usage(line)) break;
    if (line == "Usage:") begin = static_cast<std::size_t>(line.data() - plain_log.data());
  }
  return plain_log.substr(0, begin);
}

std::optional<Failure> read_failure(std::string_view plain_log) {
  std::string_view error = last_error(without_usage(plain_log));
  if (error.empty()) return std::nullopt;
  if (error.starts_with(error_prefix)) error.remove_prefix(error_prefix.size());
  const Kind kind = kind_of(error);
  return Failure{
      .failure_class = kind.failure_class, .reason = std::string(kind.reason), .message = one_line(error)};
}

}  // namespace lambda::builds
