// Where the Kubernetes API is and who we are to it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/time.h"

namespace lambda::kube {

struct Cluster {
  bool tls = true;
  std::string host;  // a name or an address, without brackets
  std::uint16_t port = 443;
  std::string path_prefix;      // before every target; empty or "/…" without a '/' at its end
  std::string ca_pem;           // the authority to trust; empty: the system's
  std::string tls_server_name;  // the name on the certificate, where it is not `host`
  std::string client_certificate_pem;
  std::string client_key_pem;
  std::string token;       // bearer token, if it never changes
  std::string token_file;  // or the file that it is read from, again and again: projected tokens rotate

  /// "https://10.0.0.1:6443", for messages.
  std::string url() const;
  const std::string& server_name() const { return tls_server_name.empty() ? host : tls_server_name; }
};

/// The current context of a kubeconfig file. `exec` and `auth-provider` plugins, proxies and
/// `insecure-skip-tls-verify` are refused with an error that says so.
base::Result<Cluster> load_kubeconfig(const std::string& file);

/// The same from the file's text; relative paths in it begin at `folder`.
base::Result<Cluster> parse_kubeconfig(const std::string& text, const std::string& folder);

/// The service account of the pod we run in, as Kubernetes mounts it. Takes the environment as a function
/// (std::getenv's form) and the mount's folder, so that tests decide both.
base::Result<Cluster> in_cluster(const std::function<const char*(const char*)>& environment,
                                 const std::string& mount = "/var/run/secrets/kubernetes.io/serviceaccount");

/// The bearer token to send, read again from its file when it is a minute old. Not thread-safe.
class BearerToken {
 public:
  explicit BearerToken(const Cluster& cluster);

  /// Empty when there is none. A file that can't be read leaves the token that was read last.
  const std::string& current(base::TimePoint now);

  /// The token was refused: the next current() reads the file. False if there is nothing to read again.
  bool refresh();

 private:
  std::string token_;
  std::string file_;
  std::optional<base::TimePoint> read_at_;
};

}  // namespace lambda::kube
