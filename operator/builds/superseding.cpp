#include "builds/superseding.h"

#include <map>
#include <string_view>
#include <tuple>
#include <utility>

namespace lambda::builds {
namespace {

bool is_older(const Build& a, const Build& b) {
  return std::tie(a.created, a.key.name) < std::tie(b.created, b.key.name);
}

// Of each tenant and parser.
using Newest = std::map<std::pair<std::string_view, std::string_view>, const Build*>;

std::pair<std::string_view, std::string_view> subject_of(const Build& build) {
  return {build.third_party_id, build.parser_id};
}

Newest find_newest(const std::vector<std::shared_ptr<const Build>>& builds) {
  Newest newest;
  for (const auto& build : builds) {
    if (build->attempt > 0) continue;
    const Build*& known = newest[subject_of(*build)];
    if (known == nullptr || is_older(*known, *build)) known = build.get();
  }
  return newest;
}

bool may_be_superseded(const Build& build) {
  return build.cancel_on_newer && !build.over() && !build.failing;
}

}  // namespace

std::vector<Superseded> find_superseded(const std::vector<std::shared_ptr<const Build>>& builds) {
  const Newest newest = find_newest(builds);
  std::vector<Superseded> superseded;
  for (const auto& build : builds) {
    if (!may_be_superseded(*build)) continue;
    const auto found = newest.find(subject_of(*build));
    if (found != newest.end() && is_older(*build, *found->second))
      superseded.push_back({build->key, found->second->key});
  }
  return superseded;
}

}  // namespace lambda::builds
