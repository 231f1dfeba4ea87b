#include "kube/cluster.h"

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include <yaml-cpp/yaml.h>

#include "base/base64.h"
#include "base/text.h"

namespace lambda::kube {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;

constexpr std::chrono::minutes token_age_max{1};

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream content;
  if (!in || !(content << in.rdbuf())) return fail(ErrorKind::not_found, "cannot read " + path);
  return content.str();
}

// "https://host:port/prefix" -> tls, host, port, path_prefix.
Result<Cluster> parse_server(const std::string& server) {
  static const std::regex form(R"((https?)://(\[[0-9A-Fa-f:.]+\]|[^/:@\[\]\s]+)(?::([0-9]{1,5}))?(/\S*)?)");
  constexpr std::size_t server_max_bytes = 2048;  // std::regex recurses for each character
  std::smatch part;
  const bool fits = server.size() <= server_max_bytes && std::regex_match(server, part, form);
  const auto port = fits && part[3].matched ? base::parse_integer(part[3].str()) : std::nullopt;
  if (!fits || (port && (*port < 1 || *port > 65535))) {
    return fail(ErrorKind::invalid,
                base::quote(server) + " is no URL of an API server; accepted: https://host[:port][/path]",
                "clusters.cluster.server");
  }
  Cluster cluster;
  cluster.tls = part[1] == "https";
  cluster.host = part[2];
  if (cluster.host.starts_with('[')) cluster.host = cluster.host.substr(1, cluster.host.size() - 2);
  cluster.port = static_cast<std::uint16_t>(port.value_or(cluster.tls ? 443 : 80));
  cluster.path_prefix = part[4];
  cluster.path_prefix.erase(cluster.path_prefix.find_last_not_of('/') + 1);
  return cluster;
}

// One kubeconfig: knows its folder, because paths in it are relative to it.
class Kubeconfig {
 public:
  Kubeconfig(const YAML::Node& root, std::filesystem::path folder)
      : root_(root), folder_(std::move(folder)) {}

  Result<Cluster> current() const {
    const std::string context_name = text(root_["current-context"]);
    const YAML::Node context = named("contexts", "context", context_name);
    if (!context)
      return fail(ErrorKind::invalid, "no context " + base::quote(context_name), "current-context");
    const YAML::Node cluster = named("clusters", "cluster", text(context["cluster"]));
    if (!cluster)
      return fail(ErrorKind::invalid, "no such cluster: " + base::quote(text(context["cluster"])),
                  "clusters");
    return parse_server(text(cluster["server"]))
        .and_then([&](Cluster out) { return with_trust(cluster, std::move(out)); })
        .and_then([&](Cluster out) {
          return with_user(named("users", "user", text(context["user"])), std::move(out));
        });
  }

 private:
  static std::string text(const YAML::Node& node) {
    return node && node.IsScalar() ? node.Scalar() : std::string();
  }

  YAML::Node named(const char* list, const char* kind, const std::string& name) const {
    const YAML::Node entries = root_[list];
    if (!entries || !entries.IsSequence()) return YAML::Node(YAML::NodeType::Undefined);
    for (const YAML::Node& entry : entries) {
      if (entry.IsMap() && text(entry["name"]) == name && entry[kind] && entry[kind].IsMap())
        return entry[kind];
    }
    return YAML::Node(YAML::NodeType::Undefined);
  }

  std::string path(const std::string& file) const { return (folder_ / file).string(); }

  // `KEY-data` (base64) or the file named by `KEY`; empty when there is neither.
  Result<std::string> data_or_file(const YAML::Node& node, const std::string& key) const {
    if (const std::string data = text(node[key + "-data"]); !data.empty()) {
      if (auto decoded = base::from_base64(data)) return *decoded;
      return fail(ErrorKind::invalid, "is no base64", key + "-data");
    }
    const std::string file = text(node[key]);
    return file.empty() ? Result<std::string>(std::string()) : read_file(path(file));
  }

  Result<Cluster> with_trust(const YAML::Node& cluster, Cluster out) const {
    for (const char* refused : {"insecure-skip-tls-verify", "proxy-url"}) {
      const std::string value = text(cluster[refused]);
      if (!value.empty() && value != "false") {
        return fail(ErrorKind::unsupported,
                    "is not supported; name the authority in certificate-authority-data", refused);
      }
    }
    out.tls_server_name = text(cluster["tls-server-name"]);
    return data_or_file(cluster, "certificate-authority").map([&](std::string pem) {
      out.ca_pem = std::move(pem);
      return out;
    });
  }

  Result<Cluster> with_user(const YAML::Node& user, Cluster out) const {
    if (!user) return out;
    for (const char* refused : {"exec", "auth-provider", "username"}) {
      if (user[refused]) {
        return fail(ErrorKind::unsupported,
                    "is not supported; use a token, a token file or a client certificate",
                    std::string("users.user.") + refused);
      }
    }
    out.token = text(user["token"]);
    if (const std::string file = text(user["tokenFile"]); !file.empty()) out.token_file = path(file);
    auto certificate = data_or_file(user, "client-certificate");
    auto key = data_or_file(user, "client-key");
    if (!certificate) return tl::unexpected(certificate.error());
    if (!key) return tl::unexpected(key.error());
    out.client_certificate_pem = std::move(*certificate);
    out.client_key_pem = std::move(*key);
    return out;
  }

  YAML::Node root_;
  std::filesystem::path folder_;
};

}  // namespace

std::string Cluster::url() const {
  const bool ipv6 = host.find(':') != std::string::npos;
  return (tls ? "https://" : "http://") + (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port) +
         path_prefix;
}

Result<Cluster> parse_kubeconfig(const std::string& text, const std::string& folder) {
  try {
    const YAML::Node root = YAML::Load(text);
    if (!root.IsMap()) return fail(ErrorKind::invalid, "it is no kubeconfig");
    return Kubeconfig(root, folder).current();
  } catch (const YAML::Exception& error) {
    return fail(ErrorKind::invalid, std::string("it is no kubeconfig: ") + error.what());
  }
}

Result<Cluster> load_kubeconfig(const std::string& file) {
  return read_file(file).and_then([&](const std::string& content) {
    return parse_kubeconfig(content, std::filesystem::path(file).parent_path().string())
        .map_error([&](base::Error error) {
          error.message = "in " + file + ": " + error.message;
          return error;
        });
  });
}

Result<Cluster> in_cluster(const std::function<const char*(const char*)>& environment,
                           const std::string& mount) {
  const char* const host = environment("KUBERNETES_SERVICE_HOST");
  const char* const port = environment("KUBERNETES_SERVICE_PORT");
  const auto port_number = port != nullptr ? base::parse_integer(port) : std::nullopt;
  if (host == nullptr || !port_number || *port_number < 1 || *port_number > 65535) {
    return fail(ErrorKind::not_found,
                "not in a pod (no KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT): name a file in "
                "kubernetes.kubeconfig");
  }
  return read_file(mount + "/ca.crt").map([&](std::string ca) {
    Cluster cluster;
    cluster.host = host;
    cluster.port = static_cast<std::uint16_t>(*port_number);
    cluster.ca_pem = std::move(ca);
    cluster.token_file = mount + "/token";
    return cluster;
  });
}

BearerToken::BearerToken(const Cluster& cluster) : token_(cluster.token), file_(cluster.token_file) {}

const std::string& BearerToken::current(base::TimePoint now) {
  if (!file_.empty() && (!read_at_ || now - *read_at_ >= token_age_max)) {
    read_at_ = now;
    if (auto content = read_file(file_)) {
      content->erase(content->find_last_not_of(" \t\r\n") + 1);
      if (!content->empty()) token_ = std::move(*content);
    }
  }
  return token_;
}

bool BearerToken::refresh() {
  read_at_.reset();
  return !file_.empty();
}

}  // namespace lambda::kube
