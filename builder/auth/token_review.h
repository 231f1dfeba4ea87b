// What a TokenReview says (authentication.k8s.io/v1). Private to this folder; pure.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "kube/answer.h"

namespace lambda::auth {

/// The name of the token's user. unauthenticated: the API server does not know the token, or did not find it
/// to be made for `audience`. Whatever is no review (our own credentials or rights, overload) says nothing
/// about the sender, so it is unavailable.
base::Result<std::string> read_review(const kube::Answer& answer, std::string_view audience);

}  // namespace lambda::auth
