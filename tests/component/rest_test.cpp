// What lib/rest promises beyond what kube_conformance asks of it: streams, bounds and ends, over an imposter
// that breaks at will.
#include <atomic>
#include <future>
#include <latch>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rest/client.h"
#include "support/imposter.h"
#include "support/run.h"
#include "support/tcp_proxy.h"

namespace lambda::rest {
namespace {

using base::ErrorKind;
using base::milliseconds;
using support::Imposter;
using support::in_order;
using support::Wire;
using testing::HasSubstr;

constexpr StreamLimits patient{.head = support::patience, .idle = support::patience};

Endpoint endpoint_of(const Imposter& imposter) {
  return {.url = "http://127.0.0.1:" + std::to_string(imposter.port())};
}

Imposter::WireScript always(std::function<void(Wire&)> write) {
  return [write = std::move(write)](const http::Request&, Wire& wire) {
    write(wire);
    return true;
  };
}

class Stream : public testing::Test {
 protected:
  base::Result<Response> read(const Imposter& imposter, const StreamLimits& limits = patient,
                              const std::stop_token& stop = {}) {
    Client client(endpoint_of(imposter));
    return client.stream(
        {}, [this](std::string_view bytes) { return (body_ += bytes).find("enough") == std::string::npos; },
        limits, stop);
  }

  std::string body_;
};

TEST_F(Stream, HandsOverTheBodyAsItComes) {
  std::promise<void> first_was_seen;
  Imposter imposter(always([gate = first_was_seen.get_future().share()](Wire& wire) {
                      wire.begin();
                      wire.chunk("one ");
                      gate.wait();
                      wire.chunk("two");
                      wire.end();
                    }),
                    in_order({std::nullopt}));
  Client client(endpoint_of(imposter));
  bool told = false;
  const auto answer = client.stream(
      {},
      [&](std::string_view bytes) {
        body_ += bytes;
        if (!std::exchange(told, true)) first_was_seen.set_value();
        return true;
      },
      patient);
  if (!told) first_was_seen.set_value();
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 200U);
  EXPECT_EQ(answer->content_type, "application/json");
  EXPECT_EQ(body_, "one two");
}

TEST_F(Stream, EndsWhenTheReaderHasEnough) {
  Imposter imposter(always([](Wire& wire) {
                      wire.begin();
                      wire.chunk("that is enough");
                      wire.wait_for_the_end();
                    }),
                    in_order({std::nullopt}));
  const auto answer = read(imposter);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(body_, "that is enough");
}

TEST_F(Stream, ABodyThatBreaksOffIsToldAsSuchAfterWhatCameOfIt) {
  Imposter imposter(always([](Wire& wire) {
                      wire.begin();
                      wire.chunk("half a li");
                    }),
                    in_order({std::nullopt}));
  const auto answer = read(imposter);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::unavailable);
  EXPECT_EQ(body_, "half a li");
}

TEST_F(Stream, SilenceBeforeTheHeaderAndAfterItIsBounded) {
  Imposter before(always([](Wire& wire) { wire.wait_for_the_end(); }), in_order({std::nullopt}));
  const auto no_header = read(before, {.head = milliseconds(50), .idle = support::patience});
  ASSERT_FALSE(no_header);
  EXPECT_EQ(no_header.error().kind, ErrorKind::timeout);
  Imposter after(always([](Wire& wire) {
                   wire.begin();
                   wire.chunk("something");
                   wire.wait_for_the_end();
                 }),
                 in_order({std::nullopt}));
  const auto no_more = read(after, {.head = support::patience, .idle = milliseconds(50)});
  ASSERT_FALSE(no_more);
  EXPECT_EQ(no_more.error().kind, ErrorKind::timeout);
  EXPECT_EQ(body_, "something");
}

TEST_F(Stream, AStopEndsItAtOnce) {
  std::stop_source stop;
  Imposter imposter(always([&](Wire& wire) {
                      wire.begin();
                      stop.request_stop();
                      wire.wait_for_the_end();
                    }),
                    in_order({std::nullopt}));
  const auto answer = read(imposter, patient, stop.get_token());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::timeout);
  EXPECT_FALSE(read(imposter, patient, stop.get_token()));  // nor does a new one begin
}

TEST_F(Stream, AnyOtherAnswerIsGivenWithItsBody) {
  Imposter imposter(in_order({support::status_answer(410, "Expired")}));
  const auto answer = read(imposter);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 410U);
  EXPECT_THAT(answer->body, HasSubstr("Expired"));
  EXPECT_EQ(body_, "");
}

// The sender gets no further ahead of a reader that takes its time than what the sockets hold.
TEST_F(Stream, ASlowReaderSlowsTheSenderDown) {
  constexpr std::size_t chunk_bytes = 1048576;
  constexpr int chunks = 64;
  std::atomic<int> sent = 0;
  Imposter imposter(always([&](Wire& wire) {
                      wire.begin();
                      for (; sent < chunks; ++sent) wire.chunk(std::string(chunk_bytes, 'x'));
                      wire.end();
                    }),
                    in_order({std::nullopt}));
  Client client(endpoint_of(imposter));
  std::size_t received = 0;
  std::size_t ahead_max = 0;
  const auto answer = client.stream(
      {},
      [&](std::string_view bytes) {
        std::this_thread::yield();
        const std::size_t on_the_way = static_cast<std::size_t>(sent) * chunk_bytes;
        received += bytes.size();
        ahead_max = std::max(ahead_max, on_the_way > received ? on_the_way - received : 0);
        return true;
      },
      patient);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(received, chunk_bytes * chunks);
  EXPECT_LT(ahead_max, chunk_bytes * chunks / 2);
}

TEST(Send, AnAnswerLargerThanTheBoundIsRefused) {
  Imposter imposter(in_order({http::Response{200, "", std::string(100'000, 'x'), {}}}));
  EXPECT_EQ(Client(endpoint_of(imposter), 100'000).send({}, support::patience)->body.size(), 100'000U);
  const auto refused = Client(endpoint_of(imposter), 99'999).send({}, support::patience);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::unavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("99999"));
}

TEST(Send, TheTargetAndEveryMethodArriveAsTheyWere) {
  http::Request seen;
  Imposter imposter([&](const http::Request& request) {
    seen = request;
    return http::Response{204, "", "", {}};
  });
  Client client({.url = "http://127.0.0.1:" + std::to_string(imposter.port()) + "/prefix"});
  for (const char* const method : {"GET", "PUT", "POST", "PATCH", "DELETE"}) {
    const Request request{.method = method,
                          .target = "/api/queues/%2F/a%20b%3F?x=%26&y",
                          .headers = {{"Authorization", "Basic eDp5"}},
                          .content_type = "application/x-thing",
                          .body = std::string_view(method) == "GET" ? "" : "{}"};
    const auto answer = client.send(request, support::patience);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->status, 204U);
    EXPECT_EQ(seen.method, method);
    EXPECT_EQ(seen.path + "?" + seen.query, "/prefix" + request.target);
    EXPECT_EQ(seen.body, request.body);
    EXPECT_EQ(http::find_header(seen.headers, "Authorization"), "Basic eDp5");
    EXPECT_EQ(http::find_header(seen.headers, "Content-Type"),
              request.body.empty() ? "" : request.content_type);
  }
}

TEST(Send, WhatCannotBeSentAsItIsIsRefusedBeforeItIs) {
  Imposter imposter(in_order({http::Response{}}));
  Client client(endpoint_of(imposter));
  const auto kind_of = [&](const Request& request) {
    return client.send(request, support::patience).error().kind;
  };
  EXPECT_EQ(kind_of({.target = "/a\r\nX-Evil: 1"}), ErrorKind::invalid);
  EXPECT_EQ(kind_of({.target = "no-path"}), ErrorKind::invalid);
  EXPECT_EQ(kind_of({.target = "/", .headers = {{"A", "b\r\nX-Evil: 1"}}}), ErrorKind::invalid);
  EXPECT_TRUE(imposter.requests().empty());
  for (const char* const url : {"", "nonsense", "ftp://host", "http://", "http://a b"}) {
    const auto answer = Client({.url = url}).send({}, milliseconds(1'000));
    ASSERT_FALSE(answer) << url;
    EXPECT_EQ(answer.error().kind, ErrorKind::invalid) << url << ": " << answer.error().message;
  }
}

TEST(Send, AFrozenNetworkIsATimeoutAndTheNextRequestGetsThrough) {
  Imposter imposter(in_order({http::Response{200, "", "{}", {}}}));
  support::TcpProxy proxy("127.0.0.1", imposter.port());
  Client client({.url = "http://127.0.0.1:" + std::to_string(proxy.port())});
  ASSERT_TRUE(client.send({}, support::patience));
  proxy.freeze(true);
  const auto late = client.send({}, milliseconds(50));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::timeout);
  proxy.freeze(false);
  const auto next = client.send({}, support::patience);
  ASSERT_TRUE(next) << next.error().message;
}

// Until `stop`; `first` counts down with what comes first.
void stream_silence(Client& client, std::latch& first, const std::stop_token& stop) {
  const auto on_bytes = [&](std::string_view) {
    first.count_down();
    return true;
  };
  static_cast<void>(client.stream({.target = "/silent"}, on_bytes, patient, stop));
}

// Of that many callers at once, with that many requests each.
int count_answers(Client& client, int callers, int requests) {
  std::atomic<int> answered = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < callers; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < requests; ++k) answered += client.send({}, support::patience).has_value() ? 1 : 0;
      });
    }
  }
  return answered;
}

// A caller that waits does not take the library's thread.
TEST(Client, ManyThreadsAndSilentStreamsDoNotStandInEachOthersWay) {
  constexpr int silent = 8;
  constexpr int busy = 4;
  std::latch all_silent(silent);
  Imposter imposter(
      [&](const http::Request& request, Wire& wire) {
        if (request.path != "/silent") return false;
        wire.begin();
        wire.chunk("now it is silent");
        wire.wait_for_the_end();
        return true;
      },
      in_order({http::Response{200, "", "{}", {}}}));
  Client client(endpoint_of(imposter));
  std::stop_source stop;
  int answered = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < silent; ++i) {
      threads.emplace_back([&] { stream_silence(client, all_silent, stop.get_token()); });
    }
    all_silent.wait();
    answered = count_answers(client, busy, 50);
    stop.request_stop();
  }
  EXPECT_EQ(answered, busy * 50);
}

// For an answer that nobody waits for any more, the library's threads once waited for each other.
TEST(Client, CallersThatAreStoppedWhileTheirAnswersComeBlockNobody) {
  constexpr int callers = 8;
  constexpr int times = 300;
  struct Round {
    std::atomic<int> arrived = 0;
    std::atomic<bool> go = false;
  };
  // They outlive the imposter, whose threads may be behind.
  std::vector<Round> rounds(times);
  std::atomic<Round*> current = nullptr;
  Imposter imposter(
      [&](const http::Request& request, Wire&) {
        if (request.path != "/late") return false;
        Round& round = *current;
        ++round.arrived;
        round.arrived.notify_all();
        round.go.wait(false);
        return false;
      },
      in_order({http::Response{200, "", "{\"answer\":\"late\"}", {}}}));
  Client client(endpoint_of(imposter));
  for (int k = 0; k < times; ++k) {
    Round& round = rounds[static_cast<std::size_t>(k)];
    current = &round;
    std::stop_source stop;
    std::vector<std::jthread> threads;
    for (int i = 0; i < callers; ++i) {
      threads.emplace_back(
          [&] { static_cast<void>(client.send({.target = "/late"}, support::patience, stop.get_token())); });
    }
    for (int n = round.arrived; n < callers; n = round.arrived) round.arrived.wait(n);
    round.go = true;
    round.go.notify_all();
    for (int spin = 0; spin < k * 20; ++spin) std::atomic_signal_fence(std::memory_order_seq_cst);
    stop.request_stop();
  }
  const auto answer = client.send({}, support::patience);
  EXPECT_TRUE(answer) << answer.error().message;
}

}  // namespace
}  // namespace lambda::rest
