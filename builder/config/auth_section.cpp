#include "config/auth_section.h"

#include <algorithm>

#include "config/checks.h"
#include "yaml/checks.h"

namespace lambda::config {

using namespace yaml;
namespace {

constexpr std::size_t path_max_bytes = 4096;
constexpr std::size_t name_max_bytes = 256;
constexpr std::size_t principals_max = 4096;
constexpr std::size_t tenants_max = 4096;

bool is_named_already(const std::vector<AuthPrincipal>& principals, const AuthPrincipal& principal) {
  return std::ranges::find(principals, principal.name, &AuthPrincipal::name) != principals.end();
}

Read principal(std::vector<AuthPrincipal>& out) {
  return [&out](const Value& value) {
    if (value.yaml.kind != YamlValue::Kind::map) return value.refuse_kind("a map of name and tenants");
    AuthPrincipal read;
    map({
        {"name", text(read.name, printable(1, name_max_bytes))},
        {"tenants", texts(read.tenants, 1, tenants_max, printable(1, name_max_bytes))},
    })(value);
    // The place of what is missing is that of the whole entry.
    Report& report = value.report;
    report.saw(value.key, value.place);
    if (read.name.empty()) report.contradiction({value.key + ".name", value.key}, "needs a name");
    if (read.tenants.empty()) {
      report.contradiction({value.key + ".tenants", value.key},
                           "needs a list of tenants, or [\"*\"] for all of them");
    }
    if (!read.name.empty() && is_named_already(out, read)) {
      report.contradiction({value.key + ".name"}, "has an entry already; accepted: one for each principal");
    }
    out.push_back(std::move(read));
  };
}

void check_together(const Auth& auth, const Value& value) {
  const std::string mode = value.key + ".mode";
  if (auth.mode == Auth::Mode::bearer && auth.tokens_file.empty()) {
    value.report.contradiction({mode, value.key + ".tokensFile"}, "bearer needs a tokensFile");
  }
  if (auth.mode == Auth::Mode::oidc && auth.audience.empty()) {
    value.report.contradiction({mode, value.key + ".audience"}, "oidc needs an audience");
  }
  if (auth.mode == Auth::Mode::none && !auth.principals.empty()) {
    value.report.contradiction({value.key + ".principals", mode},
                               "there are principals, but mode none lets everybody send; accepted: "
                               "mode bearer or oidc, or no principals");
  }
}

}  // namespace

Read auth(Auth& out) {
  using Mode = Auth::Mode;
  return [&out](const Value& value) {
    map({
        {"mode", word({{"none", [&out] { out.mode = Mode::none; }},
                       {"bearer", [&out] { out.mode = Mode::bearer; }},
                       {"oidc", [&out] { out.mode = Mode::oidc; }}})},
        {"tokensFile", text(out.tokens_file, printable(0, path_max_bytes))},
        {"audience", text(out.audience, printable(0, name_max_bytes))},
        {"principals", list(0, principals_max, principal(out.principals))},
    })(value);
    check_together(out, value);
  };
}

}  // namespace lambda::config
