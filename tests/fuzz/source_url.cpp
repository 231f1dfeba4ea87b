// A source_url. Whatever becomes a context lies within an allowed place and reads the same to everybody.
#include <string>
#include <vector>

#include "check.h"
#include "event/source.h"

namespace {

const std::vector<std::string> allowed{
    "github.com",     "gitlab.com/group", "git.example.com:8443/team/app.git",
    "s3://bucket/in", "gs://bucket",      "acme.blob.core.windows.net/in"};

bool has_any(std::string_view text, std::string_view characters) {
  return text.find_first_of(characters) != std::string_view::npos;
}

bool has_dot_segment(std::string_view text) {
  const std::string slashed = "/" + std::string(text) + "/";
  return slashed.find("/../") != std::string::npos || slashed.find("/./") != std::string::npos;
}

// An object of a bucket, or a file by https.
void check_archive(std::string_view context) {
  using lambda::fuzz::check;
  const auto begins = [context](std::string_view place) { return context.starts_with(place); };
  check(begins("https://github.com/") || begins("https://gitlab.com/group/") ||
            begins("https://git.example.com:8443/team/app.git/") || begins("s3://bucket/in") ||
            begins("gs://bucket/") || begins("https://acme.blob.core.windows.net/in/"),
        "the place is an allowed one");
  check(!begins("s3://bucket/in") || context.size() == 14 || context[14] == '/', "at the end of a segment");
  check(!has_any(context, " \t\r\n\\%?#$`'\""), "plain characters only");
  check(!has_dot_segment(context.substr(context.find("://") + 3)), "no dot segments");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using lambda::fuzz::check;
  const auto source = lambda::event::parse_source(lambda::fuzz::text(data, size), {allowed, true});
  if (!source) return 0;

  const std::string_view context = source->context;
  if (source->kind != lambda::event::SourceKind::git) {
    check_archive(context);
    return 0;
  }
  check(context.starts_with("git://github.com/") || context.starts_with("git://gitlab.com/group") ||
            context.starts_with("git://git.example.com:8443/team/app.git"),
        "the host is an allowed one");
  const std::string_view repository = context.substr(6, context.find('#') - 6);
  const std::string location =
      std::string(repository) + (source->sub_path.empty() ? "" : "/") + source->sub_path + "/";
  check(location.starts_with("github.com/") || location.starts_with("gitlab.com/group/") ||
            location.starts_with("git.example.com:8443/team/app.git/"),
        "the place is an allowed one, at the end of a segment");
  check(!has_any(location, " \t\r\n\\%?#$`'\""), "plain characters only");
  check(!has_any(location.substr(0, location.find('/')), "@"), "no user information");
  check(!has_dot_segment(repository) && !has_dot_segment(source->sub_path), "no dot segments");
  check(location.find("//") == std::string::npos, "no empty segments");
  check(!source->sub_path.starts_with('-') && !source->sub_path.starts_with('/'),
        "a relative folder, no flag");

  if (const auto hash = context.find('#'); hash != std::string_view::npos) {
    const std::string_view ref = context.substr(hash + 1);
    check(!has_any(ref, "#:*?[\\^~ $%"), "a plain ref");
    check(ref.starts_with("refs/heads/") || ref.starts_with("refs/tags/") || ref.size() == 40,
          "a full ref or a commit");
  }
  return 0;
}
