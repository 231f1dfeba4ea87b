#include "support/rabbitmq.h"

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <stdexcept>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/base64.h"

namespace lambda::support {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  if (value == nullptr) throw std::runtime_error(std::string("no ") + name + ": run hack/test component");
  return value;
}

void run_command(const std::string& command) {
  // NOLINTNEXTLINE(bugprone-command-processor,cert-env33-c): fixed words of this file
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

std::string testbed(const std::string& words) {
  return std::string(LAMBDA_SOURCE_DIR) + "/hack/testbed " + words +
         " --name \"$TESTBED_NAME\" rabbitmq >/dev/null";
}

}  // namespace

RabbitMq::RabbitMq() {
  const auto uri = amqp::parse_uri(variable("AMQP_URL"));
  if (!uri) throw std::runtime_error("AMQP_URL: " + uri.error().message);
  uri_ = *uri;
  const std::string management = variable("RABBITMQ_MANAGEMENT_URL");  // http://host:port
  const std::size_t host = management.find("//") + 2;
  const std::size_t colon = management.find(':', host);
  host_ = management.substr(host, colon - host);
  port_ = management.substr(colon + 1);
  authorization_ = "Basic " + base::to_base64(uri_.username + ":" + uri_.password);
}

RabbitMq::~RabbitMq() {
  for (const std::string& path : to_delete_) {
    try {
      call("DELETE", path);
    } catch (const std::exception& error) {
      // The test has deleted it, or has failed already.
      std::clog << "not deleted: " << error.what() << '\n';
    }
  }
}

std::string RabbitMq::new_name(const std::string& what) {
  static std::atomic<unsigned> count = 0;
  return "test-" + std::to_string(::getpid()) + "-" + std::to_string(++count) + "-" + what;
}

std::string RabbitMq::declare_queue(const std::string& arguments) {
  std::string name = new_name("queue");
  declare_queue_named(name, arguments);
  return name;
}

std::string RabbitMq::declare_exchange() {
  std::string name = new_name("exchange");
  declare_exchange_named(name);
  return name;
}

void RabbitMq::declare_queue_named(const std::string& name, const std::string& arguments) {
  call("PUT", "/api/queues/%2F/" + name, R"({"durable":true,"arguments":)" + arguments + "}");
  to_delete_.push_back("/api/queues/%2F/" + name);
}

void RabbitMq::declare_exchange_named(const std::string& name) {
  call("PUT", "/api/exchanges/%2F/" + name, R"({"type":"direct","durable":true})");
  to_delete_.push_back("/api/exchanges/%2F/" + name);
}

void RabbitMq::bind(const std::string& exchange, const std::string& routing_key, const std::string& queue) {
  call("POST", "/api/bindings/%2F/e/" + exchange + "/q/" + queue,
       nlohmann::json{{"routing_key", routing_key}, {"arguments", nlohmann::json::object()}}.dump());
}

void RabbitMq::delete_queue(const std::string& name) {
  call("DELETE", "/api/queues/%2F/" + name);
}

void RabbitMq::publish(const std::string& queue, const std::string& body, const std::string& properties) {
  const nlohmann::json message{{"routing_key", queue},
                               {"payload", body},
                               {"payload_encoding", "string"},
                               {"properties", nlohmann::json::parse(properties)}};
  const std::string answer = call("POST", "/api/exchanges/%2F/amq.default/publish", message.dump());
  if (!nlohmann::json::parse(answer).at("routed").get<bool>()) throw std::runtime_error("no queue " + queue);
}

std::string RabbitMq::get(const std::string& queue, const std::string& ackmode) {
  return call("POST", "/api/queues/%2F/" + queue + "/get",
              R"({"count":1000000,"encoding":"auto","ackmode":")" + ackmode + R"("})");
}

std::vector<nlohmann::json> RabbitMq::take(const std::string& queue) {
  return nlohmann::json::parse(get(queue, "ack_requeue_false")).get<std::vector<nlohmann::json>>();
}

std::size_t RabbitMq::ready(const std::string& queue) {
  return nlohmann::json::parse(get(queue, "ack_requeue_true")).size();
}

std::string RabbitMq::call(const std::string& method, const std::string& path, const std::string& body) {
  asio::io_context io;
  asio::ip::tcp::socket socket(io);
  asio::connect(socket, asio::ip::tcp::resolver(io).resolve(host_, port_));
  beast::http::request<beast::http::string_body> request;
  request.method_string(method);
  request.target(path);
  request.set(beast::http::field::host, host_);
  request.set(beast::http::field::authorization, authorization_);
  request.set(beast::http::field::content_type, "application/json");
  request.body() = body;
  request.prepare_payload();
  beast::http::write(socket, request);
  beast::flat_buffer buffer;
  beast::http::response_parser<beast::http::string_body> parser;
  parser.body_limit(boost::none);
  beast::http::read(socket, buffer, parser);
  if (parser.get().result_int() >= 300)
    throw std::runtime_error(method + " " + path + ": " + parser.get().body());
  return parser.get().body();
}

MemoryAlarm::MemoryAlarm() {
  run_command("rabbitmqctl -q set_vm_memory_high_watermark absolute 1");
}

MemoryAlarm::~MemoryAlarm() {
  clear();
}

void MemoryAlarm::clear() {
  if (std::exchange(raised_, false)) run_command("rabbitmqctl -q set_vm_memory_high_watermark absolute 2GB");
}

// RabbitMQ 3.10 writes what is declared to its log some seconds later, and here it was declared just now.
DeadBroker::DeadBroker() {
  run_command("rabbitmqctl -q eval 'mnesia:sync_log().'");
  run_command(testbed("stop --hard"));
}

DeadBroker::~DeadBroker() {
  run_command(testbed("start"));
}

}  // namespace lambda::support
