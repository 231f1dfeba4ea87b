#include "rabbitmq/access.h"

#include <limits>

#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/json.h"
#include "base/text.h"

namespace lambda::rabbitmq {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;
using nlohmann::json;

constexpr std::string_view allowed_namespaces = "rabbitmq.com/topology-allowed-namespaces";
constexpr std::string_view connection_uri = "rabbitmq.com/operator-connection-uri";
constexpr std::uint16_t amqps_port = 5671;
constexpr std::uint16_t management_port = 15672;
constexpr std::uint16_t management_tls_port = 15671;

/// The value at the end of the path, or null.
const json& at(const json& object, std::initializer_list<std::string_view> path) {
  const json* value = &object;
  for (const std::string_view key : path) value = &base::at(*value, key);
  return *value;
}

std::string text_at(const json& object, std::initializer_list<std::string_view> path) {
  const json& value = at(object, path);
  return value.is_string() ? value.get<std::string>() : std::string();
}

/// "Secret rabbitmq-dev/rabbitmq-connection"
std::string shown_object(std::string_view kind, const json& object) {
  return std::string(kind) + " " + text_at(object, {"metadata", "namespace"}) + "/" +
         text_at(object, {"metadata", "name"});
}

tl::unexpected<base::Error> bad_key(const json& secret, std::string key, const std::string& message) {
  return fail(ErrorKind::invalid, shown_object("Secret", secret) + ": " + message, std::move(key));
}

bool has(const json& secret, std::string_view key) {
  return at(secret, {"data", key}).is_string();
}

Result<std::string> value_of(const json& secret, const std::string& key) {
  if (!has(secret, key)) return bad_key(secret, key, "the key " + key + " is missing");
  auto value = base::from_base64(text_at(secret, {"data", key}));
  if (!value) return bad_key(secret, key, "the value of " + key + " is no base64");
  if (value->empty()) return bad_key(secret, key, "the value of " + key + " is empty");
  return std::move(*value);
}

/// A line break at the end comes from how the Secret was made.
Result<std::string> trimmed_value_of(const json& secret, const std::string& key) {
  auto value = value_of(secret, key);
  if (!value) return value;
  while (value->ends_with('\n') || value->ends_with('\r')) value->pop_back();
  return std::string(base::trim(*value));
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  const auto number = base::parse_integer(text);
  if (!number || *number < 1 || *number > std::numeric_limits<std::uint16_t>::max()) return std::nullopt;
  return static_cast<std::uint16_t>(*number);
}

Result<void> read_amqp_port(Access& access, const json& secret) {
  if (!has(secret, "port")) return {};
  const auto text = trimmed_value_of(secret, "port");
  if (!text) return tl::unexpected(text.error());
  const auto port = parse_port(*text);
  if (!port) return bad_key(secret, "port", "the value of port is no port number");
  access.amqp_port = *port;
  access.amqp_tls = *port == amqps_port;
  return {};
}

Result<void> read_credentials(Access& access, const json& secret) {
  auto username = trimmed_value_of(secret, "username");
  if (!username) return tl::unexpected(username.error());
  auto password = value_of(secret, "password");
  if (!password) return tl::unexpected(password.error());
  access.username = std::move(*username);
  access.password = std::move(*password);
  return read_amqp_port(access, secret);
}

/// What is wrong with it, or nothing.
std::string_view complaint_about(std::string_view url) {
  const std::size_t authority = url.find("://") + 3;
  const std::string_view scheme = url.substr(0, authority);
  if (scheme != "http://" && scheme != "https://")
    return "it must be that of the management API (http://host:15672), not of another protocol";
  const std::string_view host = url.substr(authority, url.find('/', authority) - authority);
  if (host.empty() || host.starts_with(':')) return "it names no host";
  if (host.find('@') != std::string_view::npos)
    return "it must not hold a user: that stands under the keys username and password";
  if (url.find_first_of("?#") != std::string_view::npos) return "it must not have a query";
  if (url.find_first_of(" \\\"<>") != std::string_view::npos || base::has_control_character(url))
    return "it holds a character that no URL may hold";
  return {};
}

/// With a scheme and without slashes at the end. The error says only what is wrong with it.
tl::expected<std::string, std::string_view> management_url(std::string_view text) {
  std::string url(text);
  if (url.find("://") == std::string::npos) url = "http://" + url;
  while (url.ends_with('/') && !url.ends_with("://")) url.pop_back();
  if (const std::string_view complaint = complaint_about(url); !complaint.empty())
    return tl::unexpected(complaint);
  return url;
}

/// A line "management.path_prefix = /prefix" of rabbitmq.conf.
std::string path_prefix(std::string_view configuration) {
  std::string prefix;
  while (!configuration.empty()) {
    const std::size_t end = configuration.find('\n');
    const std::string_view line = configuration.substr(0, end);
    configuration.remove_prefix(end == std::string_view::npos ? configuration.size() : end + 1);
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    if (base::trim(line.substr(0, equals)) == "management.path_prefix")
      prefix = base::trim(line.substr(equals + 1));
  }
  return prefix;
}

bool speaks_tls(const json& cluster) {
  return !text_at(cluster, {"spec", "tls", "secretName"}).empty();
}

std::uint16_t port_of(const json& service, std::string_view name, std::uint16_t otherwise) {
  const json& ports = at(service, {"spec", "ports"});
  if (!ports.is_array()) return otherwise;
  for (const json& port : ports) {
    const json& number = at(port, {"port"});
    if (text_at(port, {"name"}) == name && number.is_number_integer())
      return parse_port(number.dump()).value_or(otherwise);
  }
  return otherwise;
}

Result<std::string> url_of_cluster(const json& cluster, const json& service) {
  const std::string written = text_at(cluster, {"metadata", "annotations", connection_uri});
  std::string composed;
  if (written.empty()) {
    const auto references = references_of(cluster);
    if (!references) return tl::unexpected(references.error());
    const bool tls = speaks_tls(cluster);
    const std::uint16_t port = tls ? port_of(service, "management-tls", management_tls_port)
                                   : port_of(service, "management", management_port);
    composed = std::string(tls ? "https" : "http") + "://" + references->service + "." +
               text_at(cluster, {"metadata", "namespace"}) + ".svc:" + std::to_string(port) +
               path_prefix(text_at(cluster, {"spec", "rabbitmq", "additionalConfig"}));
  }
  const auto url = management_url(written.empty() ? composed : written);
  if (!url)
    return fail(ErrorKind::invalid, shown_object("RabbitmqCluster", cluster) +
                                        ": its management URL: " + std::string(url.error()));
  return *url;
}

}  // namespace

Result<Access> access_from_secret(const json& secret) {
  Access access;
  const auto uri = trimmed_value_of(secret, "uri");
  if (!uri) return tl::unexpected(uri.error());
  const auto url = management_url(*uri);
  if (!url) return bad_key(secret, "uri", "the value of uri: " + std::string(url.error()));
  access.management_url = *url;
  if (const auto read = read_credentials(access, secret); !read) return tl::unexpected(read.error());
  if (has(secret, "ca.crt")) {
    auto ca = value_of(secret, "ca.crt");
    if (!ca) return tl::unexpected(ca.error());
    access.ca_pem = std::move(*ca);
  }
  return access;
}

Result<ClusterReferences> references_of(const json& cluster) {
  const std::string name = text_at(cluster, {"metadata", "name"});
  if (name.empty()) return fail(ErrorKind::invalid, "the RabbitmqCluster has no name", "metadata.name");
  ClusterReferences references;
  references.credentials_secret = text_at(cluster, {"status", "binding", "name"});
  if (references.credentials_secret.empty()) references.credentials_secret = name + "-default-user";
  references.service = text_at(cluster, {"status", "defaultUser", "serviceReference", "name"});
  if (references.service.empty()) references.service = name;
  const std::string ca = text_at(cluster, {"spec", "tls", "caSecretName"});
  if (speaks_tls(cluster) && !ca.empty()) references.ca_secret = ca;
  return references;
}

Result<Access> access_from_cluster(const json& cluster, const json& secret, const json& service,
                                   const json& ca_secret) {
  Access access;
  auto url = url_of_cluster(cluster, service);
  if (!url) return tl::unexpected(url.error());
  access.management_url = std::move(*url);
  if (const auto read = read_credentials(access, secret); !read) return tl::unexpected(read.error());
  if (!ca_secret.is_null()) {
    auto ca = value_of(ca_secret, "ca.crt");
    if (!ca) return tl::unexpected(ca.error());
    access.ca_pem = std::move(*ca);
  }
  return access;
}

bool allows_namespace(const json& secret_or_cluster, std::string_view namespace_name) {
  if (text_at(secret_or_cluster, {"metadata", "namespace"}) == namespace_name) return true;
  const std::string list = text_at(secret_or_cluster, {"metadata", "annotations", allowed_namespaces});
  std::string_view rest = list;
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    const std::string_view allowed = base::trim(rest.substr(0, comma));
    if (allowed == "*" || (!allowed.empty() && allowed == namespace_name)) return true;
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
  }
  return false;
}

Result<amqp::Uri> amqp_uri(const Access& access, const std::string& vhost) {
  const auto url = management_url(access.management_url);
  if (!url) return fail(ErrorKind::invalid, "the management URL: " + std::string(url.error()), "uri");
  std::string_view host = *url;
  host.remove_prefix(host.find("://") + 3);
  host = host.substr(0, host.find('/'));
  if (host.starts_with('['))
    host = host.substr(1, host.find(']') - 1);
  else
    host = host.substr(0, host.find(':'));
  amqp::Uri uri;
  uri.tls = access.amqp_tls;
  uri.host = host;
  uri.port = access.amqp_port;
  uri.username = access.username;
  uri.password = access.password;
  uri.vhost = vhost;
  return uri;
}

}  // namespace lambda::rabbitmq
