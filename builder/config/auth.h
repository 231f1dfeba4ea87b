// intake.auth: who may send events, and which tenants a sender speaks for.
#pragma once

#include <string>
#include <vector>

namespace lambda::config {

/// A sender as its credentials name it, and whom it speaks for.
struct AuthPrincipal {
  std::string name;
  std::vector<std::string> tenants;  // third_party_id each; "*" stands for all

  bool operator==(const AuthPrincipal&) const = default;
};

struct Auth {
  enum class Mode {
    none,    // everybody may send, for every tenant
    bearer,  // tokens from a file
    oidc,    // tokens that the Kubernetes API reviews
  };

  Mode mode = Mode::none;
  std::string tokens_file;  // of bearer
  std::string audience;     // of oidc: the tokens have to be made for it
  std::vector<AuthPrincipal> principals;

  bool operator==(const Auth&) const = default;
};

}  // namespace lambda::config
