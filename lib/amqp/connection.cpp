#include "amqp/connection.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "amqp/message_properties.h"
#include "base/text.h"

namespace lambda::amqp {
namespace {

using base::Error;
using base::ErrorKind;
using base::Result;

constexpr amqp_channel_t channel = 1;
constexpr int frame_max_bytes = 131072;
constexpr std::size_t max_shown_bytes = 512;  // of what the broker says

amqp_bytes_t borrow(std::string_view text) {
  // librabbitmq takes a void* to what it only reads.
  return {text.size(), const_cast<char*>(text.data())};
}

std::string to_string(const amqp_bytes_t& bytes) {
  return bytes.len == 0 ? std::string() : std::string(static_cast<const char*>(bytes.bytes), bytes.len);
}

timeval to_timeval(base::milliseconds duration) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
  timeval value{};
  value.tv_sec = seconds.count();
  value.tv_usec = std::chrono::microseconds(duration - seconds).count();
  return value;
}

ErrorKind kind_of(std::uint16_t code) {
  constexpr std::uint16_t access_refused = 403;
  constexpr std::uint16_t not_found = 404;
  if (code == access_refused) return ErrorKind::forbidden;
  return code == not_found ? ErrorKind::not_found : ErrorKind::unavailable;
}

Error broker_error(const std::string& what, std::uint16_t code, const amqp_bytes_t& text) {
  return {
      kind_of(code),
      what + ": RabbitMQ says " + std::to_string(code) + " " + base::cut(to_string(text), max_shown_bytes),
      ""};
}

Error library_error(const std::string& what, int status) {
  const ErrorKind kind = status == AMQP_STATUS_TIMEOUT ? ErrorKind::timeout : ErrorKind::unavailable;
  return {kind, what + ": " + amqp_error_string2(status), ""};
}

Error closed_by_broker(const std::string& what, const amqp_method_t& method) {
  if (method.id == AMQP_CHANNEL_CLOSE_METHOD) {
    const auto* const close = static_cast<const amqp_channel_close_t*>(method.decoded);
    return broker_error(what, close->reply_code, close->reply_text);
  }
  if (method.id == AMQP_CONNECTION_CLOSE_METHOD) {
    const auto* const close = static_cast<const amqp_connection_close_t*>(method.decoded);
    return broker_error(what, close->reply_code, close->reply_text);
  }
  return {ErrorKind::unavailable, what + ": RabbitMQ answers with an unexpected method", ""};
}

Result<void> check_status(const std::string& what, int status) {
  if (status == AMQP_STATUS_OK) return {};
  return tl::unexpected(library_error(what, status));
}

Result<void> check_reply(const std::string& what, const amqp_rpc_reply_t& reply) {
  switch (reply.reply_type) {
    case AMQP_RESPONSE_NORMAL:
      return {};
    case AMQP_RESPONSE_SERVER_EXCEPTION:
      return tl::unexpected(closed_by_broker(what, reply.reply));
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
      return tl::unexpected(library_error(what, reply.library_error));
    case AMQP_RESPONSE_NONE:
      break;
  }
  return base::fail(ErrorKind::unavailable, what + ": the connection was closed");
}

amqp_table_entry_t capability(const char* name) {
  amqp_table_entry_t entry{};
  entry.key = amqp_cstring_bytes(name);
  entry.value.kind = AMQP_FIELD_KIND_BOOLEAN;
  entry.value.value.boolean = 1;
  return entry;
}

}  // namespace

struct Connection::Impl {
  explicit Impl(CallLimit& its_limit) : limit(its_limit), state(amqp_new_connection()) {}
  ~Impl() {
    limit.detach();
    amqp_destroy_connection(state);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Result<void> connect(const Uri& uri, const ConnectionSettings& settings);
  Result<amqp_socket_t*> make_socket(const Uri& uri, const ConnectionSettings& settings);
  Result<void> login(const Uri& uri, const ConnectionSettings& settings);
  Result<void> open_channel();
  Result<Notice> understand(const amqp_frame_t& frame);
  Result<Notice> understand_method(const amqp_method_t& method);
  Result<Message> read_message();

  CallLimit& limit;
  amqp_connection_state_t state;
  std::string shown;
};

Result<amqp_socket_t*> Connection::Impl::make_socket(const Uri& uri, const ConnectionSettings& settings) {
  if (!uri.tls) {
    amqp_socket_t* const socket = amqp_tcp_socket_new(state);
    if (socket == nullptr) return base::fail(ErrorKind::internal, "no memory for a socket");
    return socket;
  }
  amqp_socket_t* const socket = amqp_ssl_socket_new(state);
  if (socket == nullptr) return base::fail(ErrorKind::internal, "cannot set up TLS");
  amqp_ssl_socket_set_verify_peer(socket, 1);
  amqp_ssl_socket_set_verify_hostname(socket, 1);
  amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST);
  const std::string& ca_file = uri.ca_file.empty() ? settings.ca_file : uri.ca_file;
  auto* const context = static_cast<SSL_CTX*>(amqp_ssl_socket_get_context(socket));
  const bool trusted = ca_file.empty()
                           ? SSL_CTX_set_default_verify_paths(context) == 1
                           : amqp_ssl_socket_set_cacert(socket, ca_file.c_str()) == AMQP_STATUS_OK;
  if (!trusted)
    return base::fail(ErrorKind::unavailable, "cannot read the certificate authorities of " +
                                                  (ca_file.empty() ? "the system" : base::quote(ca_file)));
  return socket;
}

Result<void> Connection::Impl::connect(const Uri& uri, const ConnectionSettings& settings) {
  shown = uri.shown();
  const Result<amqp_socket_t*> socket = make_socket(uri, settings);
  if (!socket) return tl::unexpected(socket.error());
  const timeval timeout = to_timeval(settings.connect_timeout);
  const int status = amqp_socket_open_noblock(*socket, uri.host.c_str(), uri.port, &timeout);
  if (status != AMQP_STATUS_OK) return check_status("cannot connect to " + shown, status);
  const int descriptor = amqp_get_sockfd(state);
  limit.attach(descriptor);
  // What was sent and is acknowledged by nobody ends the connection, also where heartbeats would not.
  const unsigned patience = static_cast<unsigned>(settings.stall_limit.count());
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience);
  amqp_set_handshake_timeout(state, &timeout);
  amqp_set_rpc_timeout(state, &timeout);
  return login(uri, settings);
}

Result<void> Connection::Impl::login(const Uri& uri, const ConnectionSettings& settings) {
  std::array capabilities{capability("connection.blocked"), capability("consumer_cancel_notify"),
                          capability("authentication_failure_close"), capability("publisher_confirms"),
                          capability("basic.nack")};
  std::array<amqp_table_entry_t, 2> properties{};
  properties[0].key = amqp_cstring_bytes("capabilities");
  properties[0].value.kind = AMQP_FIELD_KIND_TABLE;
  properties[0].value.value.table = {static_cast<int>(capabilities.size()), capabilities.data()};
  properties[1].key = amqp_cstring_bytes("connection_name");
  properties[1].value.kind = AMQP_FIELD_KIND_UTF8;
  properties[1].value.value.bytes = borrow(settings.name);
  const amqp_table_t table{settings.name.empty() ? 1 : 2, properties.data()};
  const int heartbeat =
      uri.heartbeat_seconds.value_or(static_cast<std::uint16_t>(settings.heartbeat.count()));
  const amqp_rpc_reply_t reply =
      amqp_login_with_properties(state, uri.vhost.c_str(), 0, frame_max_bytes, heartbeat, &table,
                                 AMQP_SASL_METHOD_PLAIN, uri.username.c_str(), uri.password.c_str());
  Result<void> done = check_reply("cannot log in at " + shown, reply);
  if (!done && done.error().kind == ErrorKind::forbidden) done.error().kind = ErrorKind::unauthenticated;
  return done;
}

Result<void> Connection::Impl::open_channel() {
  amqp_channel_open(state, channel);
  return check_reply("cannot open a channel", amqp_get_rpc_reply(state));
}

Result<Message> Connection::Impl::read_message() {
  amqp_message_t message{};
  const Result<void> done =
      check_reply("cannot read a message", amqp_read_message(state, channel, &message, 0));
  if (!done) return tl::unexpected(done.error());
  Message result = to_message(message);
  amqp_destroy_message(&message);
  return result;
}

Result<Notice> Connection::Impl::understand(const amqp_frame_t& frame) {
  // Heartbeats are dealt with by librabbitmq.
  if (frame.frame_type != AMQP_FRAME_METHOD) return notice::Other{};
  return understand_method(frame.payload.method);
}

Result<Notice> Connection::Impl::understand_method(const amqp_method_t& method) {
  switch (method.id) {
    case AMQP_BASIC_ACK_METHOD: {
      const auto* const ack = static_cast<const amqp_basic_ack_t*>(method.decoded);
      return notice::Confirmed{ack->delivery_tag, ack->multiple != 0};
    }
    case AMQP_BASIC_NACK_METHOD: {
      const auto* const nack = static_cast<const amqp_basic_nack_t*>(method.decoded);
      return notice::Refused{nack->delivery_tag, nack->multiple != 0};
    }
    case AMQP_BASIC_RETURN_METHOD: {
      const auto* const returned = static_cast<const amqp_basic_return_t*>(method.decoded);
      notice::Returned result{std::to_string(returned->reply_code) + " " + to_string(returned->reply_text),
                              to_string(returned->exchange),
                              to_string(returned->routing_key),
                              {}};
      return read_message().map([&](Message message) -> Notice {
        result.message = std::move(message);
        return std::move(result);
      });
    }
    case AMQP_BASIC_DELIVER_METHOD: {
      const auto* const deliver = static_cast<const amqp_basic_deliver_t*>(method.decoded);
      notice::Delivered result{deliver->delivery_tag,
                               deliver->redelivered != 0,
                               to_string(deliver->exchange),
                               to_string(deliver->routing_key),
                               {}};
      return read_message().map([&](Message message) -> Notice {
        result.message = std::move(message);
        return std::move(result);
      });
    }
    case AMQP_BASIC_CANCEL_METHOD:
      return notice::ConsumerCancelled{};
    case AMQP_CHANNEL_CLOSE_METHOD: {
      const auto* const close = static_cast<const amqp_channel_close_t*>(method.decoded);
      return notice::ChannelClosed{close->reply_code,
                                   base::cut(to_string(close->reply_text), max_shown_bytes)};
    }
    case AMQP_CONNECTION_CLOSE_METHOD:
      return tl::unexpected(closed_by_broker("connection closed", method));
    case AMQP_CONNECTION_BLOCKED_METHOD: {
      const auto* const blocked = static_cast<const amqp_connection_blocked_t*>(method.decoded);
      return notice::Blocked{base::cut(to_string(blocked->reason), max_shown_bytes)};
    }
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
      return notice::Unblocked{};
    default:
      return notice::Other{};
  }
}

// ---------------------------------------------------------------------------------------------------------------------

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Connection::~Connection() = default;

Result<std::unique_ptr<Connection>> Connection::open(const ConnectionSettings& settings, CallLimit& limit) {
  const Result<Uri> uri = settings.uri();
  if (!uri) return tl::unexpected(uri.error());
  auto impl = std::make_unique<Impl>(limit);
  if (impl->state == nullptr) return base::fail(ErrorKind::internal, "no memory for a connection");
  if (auto done = impl->connect(*uri, settings); !done) return tl::unexpected(std::move(done.error()));
  if (auto done = impl->open_channel(); !done) return tl::unexpected(std::move(done.error()));
  return std::unique_ptr<Connection>(new Connection(std::move(impl)));
}

int Connection::socket() const {
  return amqp_get_sockfd(impl_->state);
}

base::milliseconds Connection::longest_sleep() const {
  const int heartbeat = amqp_get_heartbeat(impl_->state);
  return std::chrono::seconds(heartbeat > 0 ? heartbeat : 60) / 3;
}

const std::string& Connection::shown() const {
  return impl_->shown;
}

Result<void> Connection::select_confirms() {
  amqp_confirm_select(impl_->state, channel);
  return check_reply("cannot switch publisher confirms on", amqp_get_rpc_reply(impl_->state));
}

Result<void> Connection::publish(const std::string& exchange, const std::string& routing_key,
                                 const Message& message) {
  const OutgoingProperties properties(message);
  return check_status("cannot publish",
                      amqp_basic_publish(impl_->state, channel, borrow(exchange), borrow(routing_key),
                                         1 /* mandatory */, 0, properties.get(), borrow(message.body)));
}

Result<void> Connection::reopen_channel() {
  amqp_channel_close_ok_t ok{};
  const int status = amqp_send_method(impl_->state, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
  if (auto sent = check_status("cannot close a channel", status); !sent) return sent;
  return impl_->open_channel();
}

Result<void> Connection::limit_prefetch(std::uint16_t count) {
  amqp_basic_qos(impl_->state, channel, 0, count, 0);
  return check_reply("cannot limit the prefetch", amqp_get_rpc_reply(impl_->state));
}

Result<std::uint32_t> Connection::count_ready(const std::string& queue) {
  const amqp_queue_declare_ok_t* const declared =
      amqp_queue_declare(impl_->state, channel, borrow(queue), 1 /* passive */, 0, 0, 0, amqp_empty_table);
  const auto done =
      check_reply("cannot look at the queue " + base::quote(queue), amqp_get_rpc_reply(impl_->state));
  if (!done) return tl::unexpected(done.error());
  return declared->message_count;
}

Result<std::string> Connection::consume(const std::string& queue, const std::string& consumer_tag) {
  const amqp_basic_consume_ok_t* const consumer = amqp_basic_consume(
      impl_->state, channel, borrow(queue), borrow(consumer_tag), 0, 0, 0, amqp_empty_table);
  const auto done =
      check_reply("cannot consume the queue " + base::quote(queue), amqp_get_rpc_reply(impl_->state));
  if (!done) return tl::unexpected(done.error());
  return to_string(consumer->consumer_tag);
}

Result<void> Connection::cancel(const std::string& consumer_tag) {
  amqp_basic_cancel(impl_->state, channel, borrow(consumer_tag));
  return check_reply("cannot cancel the consumer", amqp_get_rpc_reply(impl_->state));
}

Result<std::optional<notice::Delivered>> Connection::get(const std::string& queue) {
  const amqp_rpc_reply_t reply = amqp_basic_get(impl_->state, channel, borrow(queue), 0);
  if (auto done = check_reply("cannot read the queue " + base::quote(queue), reply); !done)
    return tl::unexpected(std::move(done.error()));
  if (reply.reply.id != AMQP_BASIC_GET_OK_METHOD) return std::nullopt;
  const auto* const got = static_cast<const amqp_basic_get_ok_t*>(reply.reply.decoded);
  notice::Delivered delivered{
      got->delivery_tag, got->redelivered != 0, to_string(got->exchange), to_string(got->routing_key), {}};
  auto message = impl_->read_message();
  if (!message) return tl::unexpected(std::move(message.error()));
  delivered.message = std::move(*message);
  return delivered;
}

Result<void> Connection::ack(std::uint64_t tag, bool multiple) {
  return check_status("cannot acknowledge", amqp_basic_ack(impl_->state, channel, tag, multiple ? 1 : 0));
}

Result<void> Connection::reject(std::uint64_t tag, bool requeue) {
  return check_status("cannot reject", amqp_basic_reject(impl_->state, channel, tag, requeue ? 1 : 0));
}

Result<std::optional<Notice>> Connection::read() {
  timeval at_once{};
  amqp_frame_t frame{};
  const int status = amqp_simple_wait_frame_noblock(impl_->state, &frame, &at_once);
  if (status == AMQP_STATUS_TIMEOUT) return std::nullopt;
  if (status != AMQP_STATUS_OK) return tl::unexpected(library_error("connection lost", status));
  return impl_->understand(frame).map([](Notice notice) { return std::optional<Notice>(std::move(notice)); });
}

void Connection::release_buffers() {
  amqp_maybe_release_buffers(impl_->state);
}

Result<void> Connection::close() {
  return check_reply("cannot close", amqp_connection_close(impl_->state, AMQP_REPLY_SUCCESS));
}

}  // namespace lambda::amqp
