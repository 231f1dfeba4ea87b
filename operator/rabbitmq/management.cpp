#include "rabbitmq/management.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/text.h"
#include "rabbitmq/decode.h"
#include "rest/client.h"

namespace lambda::rabbitmq {
namespace {

using base::Error;
using base::ErrorKind;
using base::fail;
using base::Result;
using nlohmann::json;
using rest::Response;
using std::stop_token;
using topology::Snapshot;

constexpr std::size_t name_max_bytes = 255;
constexpr std::size_t answer_max_bytes = std::size_t{128} * 1024 * 1024;  // bindings come in one list
constexpr std::string_view page_size = "500";                             // the most that the broker takes
/// A list that changed between its pages may miss what is there: it is read again so many times.
constexpr int max_readings = 3;

enum class Status : unsigned {
  bad_request = 400,
  unauthorized = 401,
  forbidden = 403,
  not_found = 404,
  method_not_allowed = 405,
  not_acceptable = 406,
  payload_too_large = 413,
};

bool is(const Response& response, Status status) {
  return response.status == static_cast<unsigned>(status);
}

/// As one segment of a path, or one value of a query.
std::string percent_encoded(std::string_view text) {
  constexpr std::string_view unreserved =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr std::string_view digits = "0123456789ABCDEF";
  constexpr unsigned half_byte = 4;
  constexpr unsigned low_half = 0xF;
  std::string encoded;
  for (const char character : text) {
    if (unreserved.find(character) != std::string_view::npos) {
      encoded += character;
      continue;
    }
    const auto byte = static_cast<unsigned char>(character);
    encoded += {'%', digits[byte >> half_byte], digits[byte & low_half]};
  }
  return encoded;
}

/// "/api/queues/%2F/name"
std::string path_of(std::string_view kind, std::initializer_list<std::string_view> segments) {
  std::string path = "/api/" + std::string(kind);
  for (const std::string_view segment : segments) path += "/" + percent_encoded(segment);
  return path;
}

/// Names that the broker would take as something else, or never show again as they are.
Result<void> check_name(std::string_view what, std::string_view name) {
  std::string complaint;
  if (name.empty()) complaint = "is empty";
  if (name == "." || name == "..") complaint = "can't be named in a URL";
  if (name.size() > name_max_bytes) complaint = "is longer than 255 bytes";
  if (!base::is_valid_utf8(name) || base::has_control_character(name))
    complaint = "must be UTF-8 without control characters";
  if (complaint.empty()) return {};
  return fail(ErrorKind::invalid,
              "the name of the " + std::string(what) + " " + base::quote(name) + " " + complaint);
}

Result<std::string> text_of(const json& body) {
  try {
    return body.dump();
  } catch (const json::exception&) {
    return fail(ErrorKind::invalid, "a value is not valid UTF-8");
  }
}

json body_of(const topology::Policy& policy) {
  return {{"pattern", policy.pattern},
          {"apply-to", policy.apply_to},
          {"priority", policy.priority},
          {"definition", encode(policy.definition)}};
}

/// A request with what it is called in messages.
struct Call {
  rest::Request request;
  std::string action;  // "declaring queue "x" in vhost "/""
  bool in_vhost = true;
};

Call call(std::string method, std::string target, std::string action) {
  Call made;
  made.request.method = std::move(method);
  made.request.target = std::move(target);
  made.action = std::move(action);
  return made;
}

/// `declaring queue "x" in vhost "/"`
std::string action_on(std::string_view verb, std::string_view what, std::string_view name,
                      std::string_view vhost) {
  return std::string(verb) + " " + std::string(what) + " " + base::quote(name) + " in vhost " +
         base::quote(vhost);
}

bool is_of_missing_vhost(const Response& response, std::string_view reason, const Call& made) {
  if (!is(response, Status::not_found) || !made.in_vhost) return false;
  // Of a list and of a policy it says no more than that something is not there; what else could it be?
  return reason == "vhost_not_found" || reason == "Not Found";
}

ErrorKind kind_of(const Response& response, std::string_view reason) {
  if (is(response, Status::unauthorized))
    return reason == "Login failed" || reason.empty() ? ErrorKind::unauthenticated : ErrorKind::forbidden;
  if (is(response, Status::forbidden)) return ErrorKind::forbidden;
  if (is(response, Status::not_found)) return ErrorKind::not_found;
  if (is(response, Status::bad_request) && (reason.ends_with(" not empty") || reason.ends_with(" in use")))
    return ErrorKind::conflict;
  if (is(response, Status::bad_request) || is(response, Status::method_not_allowed) ||
      is(response, Status::payload_too_large))
    return ErrorKind::invalid;
  return ErrorKind::unavailable;
}

/// RabbitMQ's own pages, outside of the API, are not to be had as JSON.
bool is_of_another_server(const Response& response) {
  return is(response, Status::not_found) || is(response, Status::method_not_allowed) ||
         is(response, Status::not_acceptable);
}

bool is_redirect(const Response& response) {
  constexpr unsigned first = 300;
  constexpr unsigned after_last = 400;
  return response.status >= first && response.status < after_last;
}

Error error_of(const Response& response, const Call& made, const std::string& url) {
  const std::string reason = reason_in(response.body);
  Error error;
  error.kind = kind_of(response, reason);
  error.http_status = response.status;
  error.retry_after = response.retry_after;
  error.message = "RabbitMQ at " + url + ": " + made.action + ": ";
  if (is_redirect(response)) {
    error.kind = ErrorKind::not_found;
    error.field = "uri";
    error.message += "the answer is a redirect, which is not followed: name the management API's own URL";
  } else if (is_of_missing_vhost(response, reason, made)) {
    error.field = "vhost";
    error.message += "the vhost does not exist";
  } else if (!made.in_vhost && is_of_another_server(response)) {
    error.kind = ErrorKind::not_found;
    error.field = "uri";
    error.message += "there is no management API";
  } else if (error.kind == ErrorKind::unauthenticated) {
    error.field = "username";
    error.message += "the broker refuses the username or password";
  } else {
    error.message += reason.empty() ? "status " + std::to_string(response.status) : reason;
  }
  return error;
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------------------

struct Management::Impl {
  Impl(const Access& access, base::milliseconds timeout_, base::WriteGuard guard_)
      : url(access.management_url),
        authorization("Basic " + base::to_base64(access.username + ":" + access.password)),
        timeout(timeout_),
        guard(std::move(guard_)),
        client({access.management_url, access.ca_pem, "", "", ""}, answer_max_bytes) {}

  /// Whatever was answered.
  Result<Response> send(Call& made, const stop_token& stop) {
    made.request.headers = {{"Authorization", authorization}, {"Accept", "application/json"}};
    const Result<base::milliseconds> allowed =
        made.request.method == "GET" ? timeout : base::write_timeout(guard, timeout);
    if (!allowed) return tl::unexpected(allowed.error());
    auto response = client.send(made.request, *allowed, stop);
    if (!response) {
      Error error = std::move(response.error());
      error.message = "RabbitMQ at " + url + ": " + made.action + ": " + error.message;
      return tl::unexpected(std::move(error));
    }
    return response;
  }

  Result<std::string> ask(Call made, const stop_token& stop) {
    auto response = send(made, stop);
    if (!response) return tl::unexpected(std::move(response.error()));
    if (!response->ok()) return tl::unexpected(error_of(*response, made, url));
    return std::move(response->body);
  }

  Result<void> tell(Call made, const json& body, const stop_token& stop) {
    auto text = text_of(body);
    if (!text) return tl::unexpected(std::move(text.error()));
    made.request.content_type = "application/json";
    made.request.body = std::move(*text);
    return ask(std::move(made), stop).map([](const std::string&) {});
  }

  /// Nothing where there is nothing.
  Result<void> remove(Call made, const stop_token& stop) {
    auto response = send(made, stop);
    if (!response) return tl::unexpected(std::move(response.error()));
    if (response->ok() || is(*response, Status::not_found)) return {};
    return tl::unexpected(error_of(*response, made, url));
  }

  // --- observe ---

  Result<std::string> version(const stop_token& stop) {
    {
      const std::lock_guard lock(mutex);
      if (!known_version.empty()) return known_version;
    }
    Call overview = call("GET", "/api/overview?columns=rabbitmq_version", "reading the version");
    overview.in_vhost = false;
    const auto body = ask(std::move(overview), stop);
    if (!body) return tl::unexpected(body.error());
    const auto answer = parse_answer(*body);
    if (!answer || !answer->is_object() || !answer->contains("rabbitmq_version"))
      return fail(ErrorKind::not_found, "RabbitMQ at " + url + ": what answers is no management API", "uri");
    const json& value = answer->at("rabbitmq_version");
    const std::lock_guard lock(mutex);
    known_version = value.is_string() ? value.get<std::string>() : "unknown";
    return known_version;
  }

  /// A broker that was away may come back as another version.
  void forget_version() {
    const std::lock_guard lock(mutex);
    known_version.clear();
  }

  /// `add` takes the answer's body.
  template <class Add>
  Result<void> read_list(std::string_view kind, const std::string& vhost, std::string_view columns,
                         const Add& add, const stop_token& stop) {
    const std::string target = path_of(kind, {vhost}) + "?columns=" + std::string(columns);
    const auto body = ask(
        call("GET", target, "reading the " + std::string(kind) + " of vhost " + base::quote(vhost)), stop);
    return body ? add(*body) : tl::unexpected(body.error());
  }

  /// All pages of a list of queues; whether it stayed of one length meanwhile.
  template <class Add>
  Result<bool> read_pages(const std::string& vhost, const std::string& query, const Add& add,
                          const stop_token& stop) {
    std::optional<std::size_t> total;
    bool steady = true;
    std::size_t page_count = 1;
    for (std::size_t number = 1; number <= page_count; ++number) {
      const std::string target = path_of("queues", {vhost}) + "?page=" + std::to_string(number) +
                                 "&page_size=" + std::string(page_size) + "&" + query;
      Call made = call("GET", target, "reading the queues of vhost " + base::quote(vhost));
      auto response = send(made, stop);
      if (!response) return tl::unexpected(std::move(response.error()));
      // The list has become shorter meanwhile.
      if (number > 1 && is(*response, Status::bad_request)) return false;
      if (!response->ok()) return tl::unexpected(error_of(*response, made, url));
      const auto page = add(response->body);
      if (!page) return tl::unexpected(page.error());
      page_count = page->page_count;
      steady = steady && total.value_or(page->total_count) == page->total_count;
      total = page->total_count;
    }
    return steady;
  }

  /// What the broker knows now; its statistics would tell a policy of five seconds ago.
  Result<void> read_queues(const std::string& vhost, Snapshot& snapshot, const stop_token& stop) {
    const std::string query = "disable_stats=true&columns=name,type,durable,auto_delete,arguments,policy";
    for (int reading = 0; reading < max_readings; ++reading) {
      snapshot.queues.clear();
      const auto steady = read_pages(
          vhost, query, [&snapshot](const std::string& body) { return add_queues(body, snapshot); }, stop);
      if (!steady) return tl::unexpected(steady.error());
      if (*steady) break;
    }
    return {};
  }

  Result<void> read_figures(const std::string& vhost, Snapshot& snapshot, const stop_token& stop) {
    const std::string query =
        "columns=name,state,policy,operator_policy,effective_policy_definition,messages_ready,"
        "messages_unacknowledged,consumers,message_stats.publish_details.rate,"
        "message_stats.deliver_get_details.rate,message_stats.ack_details.rate";
    return read_pages(
               vhost, query, [&snapshot](const std::string& body) { return add_figures(body, snapshot); },
               stop)
        .map([](bool) {});
  }

  Result<void> read_policies(std::string_view kind, const std::string& vhost,
                             std::map<std::string, topology::Policy>& policies, const stop_token& stop) {
    return read_list(
        kind, vhost, "name,pattern,apply-to,priority,definition",
        [&policies](const std::string& body) { return add_policies(body, policies); }, stop);
  }

  // Policies before what they apply to: a policy that is seen is in force on all that is seen after it.
  Result<Snapshot> observe(const std::string& vhost, const stop_token& stop) {
    Snapshot snapshot;
    auto broker_version = version(stop);
    if (!broker_version) return tl::unexpected(std::move(broker_version.error()));
    snapshot.broker_version = std::move(*broker_version);
    const auto read =
        read_policies("policies", vhost, snapshot.policies, stop)
            .and_then(
                [&] { return read_policies("operator-policies", vhost, snapshot.operator_policies, stop); })
            .and_then([&] {
              return read_list(
                  "exchanges", vhost, "name,type,durable,auto_delete,arguments,policy",
                  [&snapshot](const std::string& body) { return add_exchanges(body, snapshot); }, stop);
            })
            .and_then([&] { return read_queues(vhost, snapshot, stop); })
            .and_then([&] { return read_figures(vhost, snapshot, stop); })
            .and_then([&] {
              return read_list(
                  "bindings", vhost, "source,destination,destination_type,routing_key,arguments",
                  [&snapshot](const std::string& body) { return add_bindings(body, snapshot); }, stop);
            });
    if (!read) return tl::unexpected(read.error());
    return snapshot;
  }

  // --- deleting what is empty ---

  /// By its figures, which may be five seconds old.
  Result<void> refuse_queue_in_use(const std::string& vhost, const std::string& name,
                                   const stop_token& stop) {
    Call made = call("GET", path_of("queues", {vhost, name}) + "?columns=name,messages,consumers",
                     action_on("deleting", "queue", name, vhost));
    auto response = send(made, stop);
    if (!response) return tl::unexpected(std::move(response.error()));
    if (is(*response, Status::not_found)) return {};
    if (!response->ok()) return tl::unexpected(error_of(*response, made, url));
    const auto answer = parse_answer(response->body);
    if (!answer) return tl::unexpected(answer.error());
    for (const char* figure : {"messages", "consumers"}) {
      const json count = answer->value(figure, json());
      if (count.is_number() && count > 0)
        return fail(ErrorKind::conflict, "RabbitMQ at " + url + ": " + made.action + ": it has " +
                                             std::to_string(count.get<std::int64_t>()) + " " + figure);
    }
    return {};
  }

  /// Takes one message and gives it back at once.
  Result<void> refuse_queue_with_message(const std::string& vhost, const std::string& name,
                                         const stop_token& stop) {
    Call made =
        call("POST", path_of("queues", {vhost, name}) + "/get", action_on("deleting", "queue", name, vhost));
    made.request.content_type = "application/json";
    made.request.body = R"({"count":1,"encoding":"auto","ackmode":"ack_requeue_true","truncate":1})";
    auto response = send(made, stop);
    if (!response) return tl::unexpected(std::move(response.error()));
    if (is(*response, Status::not_found)) return {};
    if (!response->ok()) return tl::unexpected(error_of(*response, made, url));
    const auto messages = parse_answer(response->body);
    if (!messages) return tl::unexpected(messages.error());
    if (messages->is_array() && messages->empty()) return {};
    return fail(ErrorKind::conflict, "RabbitMQ at " + url + ": " + made.action + ": it is not empty");
  }

  Result<void> delete_empty_queue(const std::string& vhost, const std::string& name, const stop_token& stop) {
    Call made = call("DELETE", path_of("queues", {vhost, name}) + "?if-empty=true",
                     action_on("deleting", "queue", name, vhost));
    auto response = send(made, stop);
    if (!response) return tl::unexpected(std::move(response.error()));
    if (response->ok() || is(*response, Status::not_found)) return {};
    const bool unsupported = is(*response, Status::bad_request) &&
                             reason_in(response->body).find("not supported") != std::string::npos;
    if (!unsupported) return tl::unexpected(error_of(*response, made, url));
    made.request.target = path_of("queues", {vhost, name});
    return refuse_queue_in_use(vhost, name, stop)
        .and_then([&] { return refuse_queue_with_message(vhost, name, stop); })
        .and_then([&] { return remove(made, stop); });
  }

  const std::string url;
  const std::string authorization;
  const base::milliseconds timeout;
  const base::WriteGuard guard;
  rest::Client client;
  std::mutex mutex;
  std::string known_version;
};

// ---------------------------------------------------------------------------------------------------------------------

Management::Management(const Access& access, base::milliseconds timeout, base::WriteGuard guard)
    : impl_(std::make_unique<Impl>(access, timeout, std::move(guard))) {}

Management::~Management() = default;

Result<Snapshot> Management::observe(const std::string& vhost, const stop_token& stop) {
  if (const auto named = check_name("vhost", vhost); !named) return tl::unexpected(named.error());
  auto snapshot = impl_->observe(vhost, stop);
  if (!snapshot) impl_->forget_version();
  return snapshot;
}

Result<void> Management::declare(const std::string& vhost, const topology::Exchange& exchange,
                                 const stop_token& stop) {
  return check_name("vhost", vhost)
      .and_then([&] { return check_name("exchange", exchange.name); })
      .and_then([&] {
        return impl_->tell(call("PUT", path_of("exchanges", {vhost, exchange.name}),
                                action_on("declaring", "exchange", exchange.name, vhost)),
                           {{"type", exchange.type},
                            {"durable", exchange.durable},
                            {"auto_delete", exchange.auto_delete},
                            {"internal", false},
                            {"arguments", encode(exchange.arguments)}},
                           stop);
      });
}

Result<void> Management::declare(const std::string& vhost, const topology::Queue& queue,
                                 const stop_token& stop) {
  return check_name("vhost", vhost).and_then([&] { return check_name("queue", queue.name); }).and_then([&] {
    json arguments = encode(queue.arguments);
    arguments["x-queue-type"] = queue.type;
    return impl_->tell(
        call("PUT", path_of("queues", {vhost, queue.name}),
             action_on("declaring", "queue", queue.name, vhost)),
        {{"durable", queue.durable}, {"auto_delete", queue.auto_delete}, {"arguments", std::move(arguments)}},
        stop);
  });
}

namespace {

/// "/api/bindings/%2F/e/exchange/q/queue"
std::string path_of_bindings(const std::string& vhost, const topology::Binding& binding) {
  return path_of("bindings", {vhost, "e", binding.exchange, "q", binding.queue});
}

Result<void> check_names(const std::string& vhost, const topology::Binding& binding) {
  return check_name("vhost", vhost)
      .and_then([&] { return check_name("exchange", binding.exchange); })
      .and_then([&] { return check_name("queue", binding.queue); });
}

}  // namespace

Result<void> Management::declare(const std::string& vhost, const topology::Binding& binding,
                                 const stop_token& stop) {
  return check_names(vhost, binding).and_then([&] {
    return impl_->tell(call("POST", path_of_bindings(vhost, binding),
                            action_on("declaring", "binding", topology::name_of(binding), vhost)),
                       {{"routing_key", binding.routing_key}, {"arguments", encode(binding.arguments)}},
                       stop);
  });
}

Result<void> Management::put_policy(const std::string& vhost, const topology::Policy& policy,
                                    const stop_token& stop) {
  return check_name("vhost", vhost).and_then([&] { return check_name("policy", policy.name); }).and_then([&] {
    return impl_->tell(call("PUT", path_of("policies", {vhost, policy.name}),
                            action_on("setting", "policy", policy.name, vhost)),
                       body_of(policy), stop);
  });
}

Result<void> Management::put_operator_policy(const std::string& vhost, const topology::Policy& policy,
                                             const stop_token& stop) {
  return check_name("vhost", vhost)
      .and_then([&] { return check_name("operator policy", policy.name); })
      .and_then([&] {
        return impl_->tell(call("PUT", path_of("operator-policies", {vhost, policy.name}),
                                action_on("setting", "operator policy", policy.name, vhost)),
                           body_of(policy), stop);
      });
}

Result<void> Management::delete_exchange(const std::string& vhost, const std::string& name, bool only_unused,
                                         const stop_token& stop) {
  return check_name("vhost", vhost).and_then([&] { return check_name("exchange", name); }).and_then([&] {
    const std::string target = path_of("exchanges", {vhost, name});
    return impl_->remove(call("DELETE", only_unused ? target + "?if-unused=true" : target,
                              action_on("deleting", "exchange", name, vhost)),
                         stop);
  });
}

Result<void> Management::delete_queue(const std::string& vhost, const std::string& name, bool only_empty,
                                      const stop_token& stop) {
  return check_name("vhost", vhost).and_then([&] { return check_name("queue", name); }).and_then([&] {
    if (only_empty) return impl_->delete_empty_queue(vhost, name, stop);
    return impl_->remove(
        call("DELETE", path_of("queues", {vhost, name}), action_on("deleting", "queue", name, vhost)), stop);
  });
}

Result<void> Management::delete_binding(const std::string& vhost, const topology::Binding& binding,
                                        const stop_token& stop) {
  if (const auto named = check_names(vhost, binding); !named) return tl::unexpected(named.error());
  const std::string path = path_of_bindings(vhost, binding);
  const std::string action = action_on("deleting", "binding", topology::name_of(binding), vhost);
  Call list = call("GET", path, action);
  auto response = impl_->send(list, stop);
  if (!response) return tl::unexpected(std::move(response.error()));
  if (is(*response, Status::not_found)) return {};
  if (!response->ok()) return tl::unexpected(error_of(*response, list, impl_->url));
  const auto bindings = decode_named_bindings(response->body);
  if (!bindings) return tl::unexpected(bindings.error());
  const auto place = std::ranges::find(*bindings, binding, &NamedBinding::binding);
  if (place == bindings->end()) return {};
  return impl_->remove(call("DELETE", path + "/" + percent_encoded(place->properties_key), action), stop);
}

Result<void> Management::delete_policy(const std::string& vhost, const std::string& name,
                                       const stop_token& stop) {
  return check_name("vhost", vhost).and_then([&] { return check_name("policy", name); }).and_then([&] {
    return impl_->remove(
        call("DELETE", path_of("policies", {vhost, name}), action_on("deleting", "policy", name, vhost)),
        stop);
  });
}

Result<void> Management::delete_operator_policy(const std::string& vhost, const std::string& name,
                                                const stop_token& stop) {
  return check_name("vhost", vhost)
      .and_then([&] { return check_name("operator policy", name); })
      .and_then([&] {
        return impl_->remove(call("DELETE", path_of("operator-policies", {vhost, name}),
                                  action_on("deleting", "operator policy", name, vhost)),
                             stop);
      });
}

}  // namespace lambda::rabbitmq
