#include "auth/token_review.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace lambda::auth {
namespace {

using base::ErrorKind;

const nlohmann::json& member(const nlohmann::json& object, const char* key) {
  static const nlohmann::json none;
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() ? *found : none;
}

bool holds(const nlohmann::json& list, std::string_view text) {
  return list.is_array() &&
         std::ranges::any_of(list, [&](const nlohmann::json& item) { return item == text; });
}

tl::unexpected<base::Error> no_review(base::Error error) {
  // The sender's credentials were not looked at: whatever the kind, it is to come back.
  if (!base::worth_retrying(error.kind)) error.kind = ErrorKind::unavailable;
  return tl::unexpected(std::move(error));
}

}  // namespace

base::Result<std::string> read_review(const kube::Answer& answer, std::string_view audience) {
  if (!answer.ok()) return no_review(kube::to_error(answer));
  const auto review = nlohmann::json::parse(answer.body, nullptr, false);
  const nlohmann::json& status = member(review, "status");
  if (!status.is_object()) {
    return base::fail(ErrorKind::unavailable, "the Kubernetes API answered a token review without a status");
  }
  if (member(status, "authenticated") != true) {
    return base::fail(
        ErrorKind::unauthenticated,
        "the Kubernetes API does not accept the token for the audience " + base::quote(audience));
  }
  // An authenticator that knows no audiences leaves the list empty: such a token may be meant for anybody.
  if (!holds(member(status, "audiences"), audience)) {
    return base::fail(ErrorKind::unauthenticated,
                      "the token is not made for the audience " + base::quote(audience));
  }
  const nlohmann::json& name = member(member(status, "user"), "username");
  if (!name.is_string() || name.get_ref<const std::string&>().empty()) {
    return base::fail(ErrorKind::unauthenticated, "the token's user has no name");
  }
  return name.get<std::string>();
}

}  // namespace lambda::auth
