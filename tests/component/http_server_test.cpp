// The server against clients that misbehave, over real sockets.
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/server.h"
#include "support/run.h"

namespace lambda::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using base::milliseconds;
using boost::system::error_code;
using namespace std::string_literals;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr const char* small_get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

// A client that says exactly what it is told to.
class Client {
 public:
  Client(asio::io_context& io, std::uint16_t port) : io_(io), socket_(io) {
    socket_.connect({asio::ip::address_v4::loopback(), port});
  }

  void send(const std::string& bytes) {
    error_code ignored;
    asio::write(socket_, asio::buffer(bytes), ignored);
  }
  void end_sending() { socket_.shutdown(tcp::socket::shutdown_send); }
  void close() { socket_.close(); }

  /// What comes until the server closes, while the server runs.
  std::string read_to_end() { return support::run(io_, read_until_closed()); }

  /// What comes until `text` is in it.
  std::string read_until(const std::string& text) { return support::run(io_, read_until_seen(text)); }

 private:
  asio::awaitable<std::string> read_until_closed() {
    std::string all;
    error_code error;
    co_await asio::async_read(socket_, asio::dynamic_buffer(all),
                              asio::redirect_error(asio::use_awaitable, error));
    co_return all;
  }

  asio::awaitable<std::string> read_until_seen(std::string text) {
    std::string all;
    error_code error;
    while (!error && all.find(text) == std::string::npos) {
      std::string chunk(4096, '\0');
      const std::size_t count = co_await socket_.async_read_some(
          asio::buffer(chunk), asio::redirect_error(asio::use_awaitable, error));
      all.append(chunk, 0, count);
    }
    co_return all;
  }

  asio::io_context& io_;
  tcp::socket socket_;
};

// Server and clients on one io_context, so that whenever a client waits, the server works.
class ServerTest : public testing::Test {
 protected:
  ~ServerTest() override {
    if (server_) support::run_until(io_, [this] { return drained_ || begin_drain(milliseconds(0)); });
  }

  void start(const Limits& limits = {},
             Handler handler = immediate([](const Request& request) {
               return Response{
                   200, "text/plain", request.method + " " + request.path + " " + request.body, {}};
             }),
             Refusal refusal = {}) {
    server_ = std::make_unique<Server>(io_.get_executor(), limits, std::move(handler), std::move(refusal));
    const auto port = server_->listen("127.0.0.1", 0);
    ASSERT_TRUE(port) << port.error().message;
    port_ = *port;
  }

  Client client() { return {io_, port_}; }

  std::string answer_to(const std::string& bytes) {
    Client one = client();
    one.send(bytes);
    return one.read_to_end();
  }

  bool begin_drain(milliseconds time) {
    if (!draining_) {
      draining_ = true;
      asio::co_spawn(io_, server_->drain(base::Clock::now() + time),
                     [this](const std::exception_ptr&) { drained_ = true; });
    }
    return drained_;
  }

  asio::io_context io_{1};
  std::unique_ptr<Server> server_;
  std::uint16_t port_ = 0;
  bool draining_ = false;
  bool drained_ = false;
};

// A handler that waits until it is let through.
class Gate {
 public:
  explicit Gate(asio::io_context& io) : opened_(io, base::TimePoint::max()) {}

  Handler handler() {
    return [this](const Request&) { return wait(); };
  }
  void open() {
    is_open_ = true;
    opened_.cancel();
  }

  bool entered = false;

 private:
  asio::awaitable<Response> wait() {
    entered = true;
    error_code ignored;
    if (!is_open_) co_await opened_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    co_return Response{};
  }

  asio::steady_timer opened_;
  bool is_open_ = false;
};

std::string post(const std::string& body, const std::string& more_headers = "") {
  return "POST /p?q=1 HTTP/1.1\r\nHost: h\r\n" + more_headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST_F(ServerTest, AnswersAndKeepsTheConnection) {
  start();
  Client one = client();
  for (int i = 0; i < 3; ++i) {
    one.send(post("body" + std::to_string(i)));
    EXPECT_THAT(one.read_until("POST /p body" + std::to_string(i)), StartsWith("HTTP/1.1 200"));
  }
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  start();
  EXPECT_THAT(answer_to(post("1") + post("2") + post("3", "Connection: close\r\n")),
              testing::ContainsRegex("POST /p 1(.|\n)*POST /p 2(.|\n)*POST /p 3"));
}

TEST_F(ServerTest, ChunkedBodiesAreRead) {
  start();
  EXPECT_THAT(answer_to("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: "
                        "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
              HasSubstr("POST / abc"));
}

TEST_F(ServerTest, HeadHasTheLengthAndNoBody) {
  start();
  const std::string answer = answer_to("HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 8"));
  EXPECT_THAT(answer, Not(HasSubstr("HEAD /x")));
}

TEST_F(ServerTest, AClientThatExpectsContinueIsToldTo) {
  start();
  Client one = client();
  one.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
  EXPECT_THAT(one.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 100 Continue"));
  one.send("x");
  EXPECT_THAT(one.read_until("POST / x"), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, ADeclaredBodyThatIsTooLargeIsRefusedBeforeItComes) {
  start(Limits{.max_body_bytes = 100});
  EXPECT_THAT(answer_to("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(
      answer_to("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n"),
      StartsWith("HTTP/1.1 413"));
}

TEST_F(ServerTest, AChunkedBodyThatGrowsTooLargeIsRefused) {
  start(Limits{.max_body_bytes = 100});
  EXPECT_THAT(answer_to("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" +
                        std::string(101, 'x') + "\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
}

// Without the reading on after the answer, the unread megabytes would reset the connection and eat the
// answer.
TEST_F(ServerTest, AClientThatSendsOnStillReadsItsAnswer) {
  start(Limits{.max_body_bytes = 100});
  EXPECT_THAT(answer_to(post(std::string(900'000, 'x'))), StartsWith("HTTP/1.1 413"));
}

TEST_F(ServerTest, AHeaderThatIsTooLargeIsRefused) {
  start();
  EXPECT_THAT(answer_to("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(answer_to("GET /" + std::string(100'000, 'x')), StartsWith("HTTP/1.1 431"));
}

TEST_F(ServerTest, ManyHeadersAreBoundedToo) {
  start();
  std::string many = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 10'000; ++i) many += "X" + std::to_string(i) + ": 1\r\n";
  EXPECT_THAT(answer_to(many + "\r\n"), StartsWith("HTTP/1.1 431"));
}

TEST_F(ServerTest, TooManyShortHeadersAreRefused) {
  start();
  const auto with_headers = [](int count) {  // with Host and Connection
    std::string request = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";
    for (int i = 2; i < count; ++i) request += "X:\r\n";
    return request + "\r\n";
  };
  EXPECT_THAT(answer_to(with_headers(128)), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer_to(with_headers(129)), StartsWith("HTTP/1.1 431"));
}

TEST_F(ServerTest, MalformedRequestsAre400) {
  start();
  for (const std::string bad :
       {"nonsense\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc\r\n0\r\n\r\n",
        "\x16\x03\x01\x02\r\n\r\n"}) {
    EXPECT_THAT(answer_to(bad), StartsWith("HTTP/1.1 400")) << bad;
  }
}

// What has been used to make a proxy and the server behind it see different requests. Each is followed by a
// second request, which must not be served.
class Smuggling : public ServerTest, public testing::WithParamInterface<std::string> {};

TEST_P(Smuggling, IsRefusedAndTheConnectionClosed) {
  start();
  const std::string answer = answer_to(GetParam() + "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(answer, testing::AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("Connection: close")));
  EXPECT_THAT(answer, Not(HasSubstr("smuggled")));
}

std::string post_with(const std::string& headers, const std::string& body) {
  return "POST / HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n" + body;
}

INSTANTIATE_TEST_SUITE_P(
    Lengths, Smuggling,
    testing::Values(post_with("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
                    post_with("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"),
                    post_with("Content-Length: 3\r\nContent-Length: 4\r\n", "abc"),
                    post_with("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"),
                    post_with("Content-Length: 3, 3\r\n", "abc"), post_with("Content-Length: 3,4\r\n", "abc"),
                    post_with("Content-Length: +3\r\n", "abc"), post_with("Content-Length: -3\r\n", "abc"),
                    post_with("Content-Length: 1 1\r\n", "abc"), post_with("Content-Length: 0x3\r\n", "abc"),
                    post_with("Content-Length:\r\n", "abc"),
                    post_with("Content-Length: 18446744073709551619\r\n", "abc"),  // 3, with 64 bits
                    post_with("Content-Length : 3\r\n", "abc")));

INSTANTIATE_TEST_SUITE_P(
    Chunks, Smuggling,
    testing::Values(post_with("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
                    post_with("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
                    post_with("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
                    post_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
                    post_with("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
                    post_with("Transfer-Encoding: \x0b"
                              "chunked\r\n",
                              "0\r\n\r\n"),
                    post_with("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
                    "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                    post_with("Transfer-Encoding: chunked\r\n", "10000000000000003\r\nabc\r\n0\r\n\r\n"),
                    post_with("Transfer-Encoding: chunked\r\n", "3\nabc\r\n0\r\n\r\n"),
                    post_with("Transfer-Encoding: chunked\r\n", "0x3\r\nabc\r\n0\r\n\r\n"),
                    post_with("Transfer-Encoding: chunked\r\n", "2\r\nabc\r\n0\r\n\r\n")));

INSTANTIATE_TEST_SUITE_P(
    Lines, Smuggling,
    testing::Values("POST / HTTP/1.1\nHost: h\n\n",
                    "POST / HTTP/1.1\r\nHost: h\nContent-Length: 3\r\n\r\nabc",
                    "POST / HTTP/1.1\r\n Content-Length: 3\r\nHost: h\r\n\r\nabc",
                    post_with("X: a\r\n folded: b\r\n", ""), post_with("X: a\rContent-Length: 3\r\n", "abc"),
                    post_with("X: a"s + '\0' + "b\r\n", ""), post_with("X: a\x01\r\n", ""),
                    post_with("X\x7f: a\r\n", ""), post_with(": no name\r\n", ""),
                    post_with("Host: other\r\n", ""), "POST / HTTP/1.1\r\n\r\n", "GET /\r\n",
                    "GET / HTTP/2.0\r\n\r\n", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
                    "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
                    std::string("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", 28),
                    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"));

TEST_F(ServerTest, TheAbsoluteFormNamesTheSamePath) {
  start();
  EXPECT_THAT(answer_to("GET http://h:80/x?y=/z HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
              HasSubstr("GET /x "));
  EXPECT_THAT(answer_to("GET HTTP://h HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
              HasSubstr("GET / "));
}

TEST_F(ServerTest, ARequestMayComeByteByByte) {
  start();
  Client one = client();
  for (const char byte : post_with("Connection: close\r\nTransfer-Encoding: chunked\r\n",
                                   "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: 1\r\n\r\n")) {
    one.send(std::string(1, byte));
    io_.restart();
    io_.poll();
  }
  EXPECT_THAT(one.read_to_end(), HasSubstr("POST / abcde"));
}

// RFC 9110, 6.5.1: what a trailer says must not pass for what the header says.
TEST_F(ServerTest, ATrailerIsNoHeader) {
  start({}, immediate([](const Request& request) {
          return Response{
              200, "", "source=" + std::string(find_header(request.headers, "ce-source")) + ".", {}};
        }));
  EXPECT_THAT(answer_to(post_with("Connection: close\r\nTransfer-Encoding: chunked\r\n",
                                  "0\r\nce-source: forged\r\n\r\n")),
              HasSubstr("source=."));
}

TEST_F(ServerTest, AChunkWithAnEndlessExtensionIs400) {
  start();
  EXPECT_THAT(answer_to(post_with("Transfer-Encoding: chunked\r\n", "1;" + std::string(300'000, 'x'))),
              StartsWith("HTTP/1.1 400"));
}

TEST_F(ServerTest, Http10IsAnsweredAndClosed) {
  start();
  EXPECT_THAT(answer_to("GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), HasSubstr("GET /old"));
}

TEST_F(ServerTest, ABodyThatIsCutOffIs400) {
  start();
  Client one = client();
  one.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
  one.end_sending();
  EXPECT_THAT(one.read_to_end(), StartsWith("HTTP/1.1 400"));
}

TEST_F(ServerTest, ASlowHeaderIs408) {
  start(Limits{.header_timeout = milliseconds(20)});
  EXPECT_THAT(answer_to("GET / HTTP/1.1\r\nHos"), StartsWith("HTTP/1.1 408"));
}

TEST_F(ServerTest, ASlowBodyIs408) {
  start(Limits{.body_timeout = milliseconds(20)});
  EXPECT_THAT(answer_to("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc"),
              StartsWith("HTTP/1.1 408"));
}

TEST_F(ServerTest, AnIdleConnectionIsClosedWithoutAWord) {
  start(Limits{.idle_timeout = milliseconds(20)});
  EXPECT_EQ(answer_to(""), "");
}

TEST_F(ServerTest, OneConnectionTooManyIsToldToComeBack) {
  start(Limits{.max_connections = 1});
  Client first = client();
  first.send(small_get);
  first.read_until("GET /");
  Client second = client();
  const std::string answer = second.read_to_end();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(answer, HasSubstr("Retry-After: 1"));
  first.send(small_get);
  EXPECT_THAT(first.read_until("GET /"), StartsWith("HTTP/1.1 200"));
}

constexpr std::size_t total = 100'000;

std::string begin_of_post(std::size_t declared, std::size_t sent) {
  return post_with("Content-Length: " + std::to_string(declared) + "\r\n", std::string(sent, 'x'));
}

TEST_F(ServerTest, LargeBodiesThatStallAreHeldOnlyUpToABound) {
  start(Limits{.max_total_body_bytes = total});
  Client stalls = client();
  stalls.send(begin_of_post(100'000, 70'000));
  const std::string answer = answer_to(begin_of_post(100'000, 60'000));
  EXPECT_THAT(answer, testing::AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After: 1"),
                                     HasSubstr("too many large requests")));
  EXPECT_THAT(answer_to(post("small", "Connection: close\r\n")), HasSubstr("POST /p small"));

  stalls.send(std::string(30'000, 'x'));
  EXPECT_THAT(stalls.read_until("xxx"), StartsWith("HTTP/1.1 200"));
  Client next = client();
  next.send(post(std::string(60'000, 'y')));
  EXPECT_THAT(next.read_until("yyy"), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, ADeclaredLengthHoldsNoMemory) {
  start(Limits{.max_total_body_bytes = 2 * total});
  std::vector<Client> declare;
  for (int i = 0; i < 10; ++i) {
    declare.push_back(client());
    declare.back().send(begin_of_post(1'000'000, 1));
  }
  support::run_until(io_, [&] { return server_->connections() == declare.size(); });
  EXPECT_THAT(answer_to(post(std::string(60'000, 'x'), "Connection: close\r\n")), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, ABodyIsHeldUntilItsAnswer) {
  Gate gate(io_);
  start(Limits{.max_total_body_bytes = total}, gate.handler());
  Client handled = client();
  handled.send(post(std::string(70'000, 'x')));
  support::run_until(io_, [&] { return gate.entered; });
  EXPECT_THAT(answer_to(post(std::string(70'000, 'x'))), StartsWith("HTTP/1.1 503"));
  gate.open();
  EXPECT_THAT(handled.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer_to(post(std::string(70'000, 'x'), "Connection: close\r\n")), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, ABodyIsLetGoWhenItsClientLeavesOrIsRefused) {
  start(Limits{.max_total_body_bytes = total, .body_timeout = milliseconds(200)});
  for (int i = 0; i < 3; ++i) {
    {
      Client leaves = client();
      leaves.send(begin_of_post(90'000, 80'000));
      support::run_until(io_, [&] { return server_->connections() == 1; });
    }
    support::run_until(io_, [&] { return server_->connections() == 0; });
    EXPECT_THAT(answer_to(begin_of_post(90'000, 80'000)), StartsWith("HTTP/1.1 408"));
    support::run_until(io_, [&] { return server_->connections() == 0; });
  }
}

TEST_F(ServerTest, AHandlerThatThrowsIs500AndTheServerGoesOn) {
  start({}, immediate([](const Request&) -> Response { throw std::runtime_error("broken handler"); }));
  Client one = client();
  for (int i = 0; i < 2; ++i) {
    one.send(small_get);
    EXPECT_THAT(one.read_until("broken handler"), StartsWith("HTTP/1.1 500"));
  }
}

TEST_F(ServerTest, AClientThatLeavesWhileItsRequestIsHandledHurtsNobody) {
  Gate gate(io_);
  start({}, gate.handler());
  {
    Client one = client();
    one.send(small_get);
    support::run_until(io_, [&] { return gate.entered; });
  }
  gate.open();
  support::run_until(io_, [&] { return server_->connections() == 0; });
}

TEST_F(ServerTest, ItsOwnerDecidesWhatARefusedRequestIsTold) {
  const Refusal refusal = [](unsigned status, const base::Error&, const Headers& headers) {
    return Response{503, "", std::to_string(status) + std::string(find_header(headers, "ce-source")), {}};
  };
  start(Limits{.max_body_bytes = 1}, immediate([](const Request&) { return Response{}; }), refusal);
  EXPECT_THAT(answer_to(post("too large", "ce-source: queue\r\n")),
              testing::AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("413queue")));
  EXPECT_THAT(answer_to("nonsense\r\n\r\n"), testing::EndsWith("\r\n\r\n400"));
}

TEST_F(ServerTest, ListenSaysWhyItCannot) {
  start();
  Server second(io_.get_executor(), {}, immediate([](const Request&) { return Response{}; }));
  EXPECT_THAT(second.listen("127.0.0.1", port_).error().message, HasSubstr(std::to_string(port_)));
  EXPECT_FALSE(second.listen("no address", 0));
}

TEST_F(ServerTest, DrainAnswersTheBusyAndRefusesTheNew) {
  Gate gate(io_);
  start({}, gate.handler());
  Client busy = client();
  busy.send(small_get);
  support::run_until(io_, [&] { return gate.entered; });
  begin_drain(support::patience);
  support::run_until(io_, [&] {
    tcp::socket late(io_);
    error_code error;
    late.connect({asio::ip::address_v4::loopback(), port_}, error);
    return error == asio::error::connection_refused;
  });
  EXPECT_FALSE(drained_);
  gate.open();
  const std::string answer = busy.read_to_end();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr("Connection: close"));
  support::run_until(io_, [&] { return drained_; });
}

TEST_F(ServerTest, DrainAnswersAConnectionThatTheKernelHadAccepted) {
  start();
  Client idle = client();
  idle.send(small_get);
  idle.read_until("GET /");
  Client unseen = client();  // the server has not run since
  unseen.send(small_get);
  begin_drain(support::patience);
  idle.send(small_get);
  EXPECT_THAT(unseen.read_to_end(), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(idle.read_to_end(), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, DrainEndsAtItsDeadlineWhoeverHangs) {
  start(Limits{.header_timeout = std::chrono::hours(1)});
  Client hangs = client();
  hangs.send("GET / HT");
  support::run_until(io_, [&] { return server_->connections() == 1; });
  begin_drain(milliseconds(0));
  support::run_until(io_, [&] { return drained_ && server_->connections() == 0; });
}

}  // namespace
}  // namespace lambda::http
