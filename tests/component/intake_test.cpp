// The sink and what stands behind it, against an imposter of the API server; the tests of dead letters
// against the real RabbitMQ of the test bed.
#include <cstdio>
#include <fstream>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "auth/authenticator.h"
#include "deadletter/deadletter.h"
#include "intake/reception.h"
#include "intake/sink.h"
#include "pool/pool.h"
#include "support/imposter.h"
#include "support/rabbitmq.h"
#include "support/run.h"

namespace lambda::intake {
namespace {

namespace asio = boost::asio;
using nlohmann::json;
using support::Imposter;
using support::in_order;
using support::job_metadata_answer;
using support::status_answer;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* direct_source = "urn:direct";
constexpr const char* queue_source = "network.notifi.kaniko-jobs";
constexpr const char* structured = "application/cloudevents+json";
constexpr const char* batch_type = "application/cloudevents-batch+json";
const http::Response created{201, "", "{}", {}};
const http::Response exists = status_answer(409, "AlreadyExists");

json event(const std::string& id, const std::string& tenant = "acme", const char* source = direct_source) {
  return {{"specversion", "1.0"},
          {"id", id},
          {"source", source},
          {"type", "network.notifi.lambda.job.start"},
          {"data",
           {{"third_party_id", tenant},
            {"parser_id", "parser"},
            {"parameters",
             {{"runtime", "go"},
              {"build_type", "container"},
              {"source_url", "https://github.com/notifi/parsers"}}}}}};
}

json poison(const std::string& id, const char* source = direct_source) {
  json out = event(id, "acme", source);
  out["data"]["parameters"]["source_url"] = "https://elsewhere.example/a/b";
  return out;
}

json events(std::size_t count) {
  json out = json::array();
  for (std::size_t i = 0; i < count; ++i) out.push_back(event("e" + std::to_string(i)));
  return out;
}

http::Request request(const json& body, const char* content_type = structured, http::Headers headers = {}) {
  headers.emplace_back("Content-Type", content_type);
  return {"POST", "/", "", std::move(headers), body.dump()};
}

http::Request batch(const json& body) {
  return request(body, batch_type);
}

std::string header(const http::Response& response, std::string_view name) {
  return std::string(http::find_header(response.headers, name));
}

// Holds back whoever comes, until it is opened.
class Gate {
 public:
  Imposter::Script then(const http::Response& answer) {
    return [opened = opened_, answer](const http::Request&) {
      opened.wait();
      return answer;
    };
  }
  void open() {
    if (!std::exchange(is_open_, true)) open_.set_value();
  }
  ~Gate() { open(); }

 private:
  bool is_open_ = false;
  std::promise<void> open_;
  std::shared_future<void> opened_ = open_.get_future().share();
};

class IntakeTest : public testing::Test {
 protected:
  IntakeTest() {
    config_.async_job_creator.retry_delay = base::milliseconds(1);
    config_.build.allowed_sources = {"github.com/notifi"};
  }

  ~IntakeTest() override {
    ::unlink(log_file_.c_str());
    ::unlink(tokens_.c_str());
  }

  void start(Imposter::Script script) {
    imposter_ = std::make_unique<Imposter>(std::move(script));
    const auto endpoint = *kube::Endpoint::make(imposter_->cluster());
    const auto executor = io_.get_executor();
    pool_ = std::make_unique<pool::Pool>(executor, config_.async_job_creator,
                                         config_.kubernetes.request_timeout, endpoint,
                                         job::JobMaker(config_.build).make_reference(), log_, registry_);
    if (config_.rabbitmq.configured()) {
      const config::RabbitMq& rabbitmq = config_.rabbitmq;
      dead_letters_ = std::make_unique<deadletter::DeadLetters>(
          executor,
          deadletter::Settings{rabbitmq.uri, "", rabbitmq.dead_letter_exchange,
                               rabbitmq.dead_letter_routing_key, rabbitmq.dead_letter_queue},
          log_, registry_);
    }
    reception_ = std::make_unique<Reception>(executor, config_, *pool_, dead_letters_.get(), log_, registry_);
    authenticator_ = std::make_unique<auth::Authenticator>(executor, config_.intake.auth, endpoint, log_);
    sink_ = std::make_unique<Sink>(executor, config_, *authenticator_, *reception_);
  }

  http::Response send(http::Request what) { return support::run(io_, sink_->receive(std::move(what))); }
  unsigned status(http::Request what) { return send(std::move(what)).status; }

  std::shared_ptr<std::optional<http::Response>> begin(http::Request what) {
    auto response = std::make_shared<std::optional<http::Response>>();
    asio::co_spawn(io_, sink_->receive(std::move(what)),
                   [response](const std::exception_ptr&, http::Response got) { *response = std::move(got); });
    return response;
  }

  // As the program ends, but for the connections.
  void drain(base::milliseconds time) {
    const base::TimePoint end = base::Clock::now() + time;
    bool drained = false;
    asio::co_spawn(io_, pool_->drain(end - time / 2), asio::detached);
    asio::co_spawn(io_, reception_->drain(end), [&drained](const std::exception_ptr&) { drained = true; });
    support::run_until(io_, [&] { return drained; });
  }

  void wait_for_metric(const std::string& line) {
    support::run_until(io_, [&] { return registry_.exposition().find(line) != std::string::npos; });
  }

  std::string logged() const {
    std::ifstream stream(log_file_);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  void wait_for_log(const std::string& text) {
    support::run_until(io_, [&] { return logged().find(text) != std::string::npos; });
  }

  const std::string log_file_ = testing::TempDir() + "/intake_test_log_" + std::to_string(::getpid());
  const std::string tokens_ = testing::TempDir() + "/intake_test_tokens_" + std::to_string(::getpid());
  base::Log log_{base::Level::debug, ::open(log_file_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600)};
  config::Config config_;
  metrics::Registry registry_;
  asio::io_context io_{1};
  std::unique_ptr<Imposter> imposter_;
  std::unique_ptr<pool::Pool> pool_;
  std::unique_ptr<deadletter::DeadLetters> dead_letters_;
  std::unique_ptr<Reception> reception_;
  std::unique_ptr<auth::Authenticator> authenticator_;
  std::unique_ptr<Sink> sink_;
};

// --- answered at once ---

class AtOnce : public IntakeTest {
 protected:
  AtOnce() { config_.async_job_creator.acknowledge = config::Acknowledge::immediate; }
};

TEST_F(AtOnce, TheAnswerDoesNotWaitForTheJob) {
  Gate gate;
  start(gate.then(created));
  const http::Response answer = send(request(event("1")));
  EXPECT_EQ(answer.status, 202U);
  EXPECT_EQ(json::parse(answer.body).at("duplicate"), false);
  gate.open();
  wait_for_metric(R"(events_received_total{flow="direct",outcome="created"} 1)");
  EXPECT_THAT(registry_.exposition(),
              HasSubstr(R"(events_received_total{flow="direct",outcome="queued"} 1)"));
}

TEST_F(AtOnce, WhatIsWrongWithTheEventIsToldAllTheSame) {
  start(in_order({created}));
  EXPECT_EQ(status(request(poison("1"))), 400U);
  EXPECT_THAT(imposter_->requests(), ElementsAre());
}

TEST_F(AtOnce, ItIsTriedUntilTheApiServerTakesIt) {
  config_.async_job_creator.max_retries = 0;
  const http::Response away = status_answer(500, "InternalError");
  start(in_order({away, away, created}));
  EXPECT_EQ(status(request(event("1"))), 202U);
  wait_for_metric(R"(events_received_total{flow="direct",outcome="created"} 1)");
  EXPECT_EQ(imposter_->requests().size(), 3U);
}

TEST_F(AtOnce, ItsEndIsCountedInTheFlowThatItCameBy) {
  start(in_order({created}));
  EXPECT_EQ(status(request(event("1", "acme", queue_source))), 202U);
  wait_for_metric(R"(events_received_total{flow="queue",outcome="created"} 1)");
}

TEST_F(AtOnce, OneTenantHasItsShareAndNoMore) {
  config_.async_job_creator.max_queue_per_tenant = 2;
  Gate gate;
  start(gate.then(created));
  EXPECT_EQ(status(request(event("1"))), 202U);
  EXPECT_EQ(status(request(event("2"))), 202U);
  const http::Response answer = send(request(event("3")));
  EXPECT_EQ(answer.status, 503U);
  EXPECT_THAT(answer.body, HasSubstr("this tenant's share of the queue is full"));
  EXPECT_NE(header(answer, "Retry-After"), "");
  EXPECT_EQ(status(request(event("4", "other"))), 202U) << "one tenant must not fill it";
  gate.open();
  wait_for_metric(R"(events_received_total{flow="direct",outcome="created"} 3)");
  EXPECT_EQ(status(request(event("3"))), 202U);
}

TEST_F(AtOnce, AsManyAsTheQueueHoldsAndNoMore) {
  config_.async_job_creator.max_queue_size = 3;
  Gate gate;
  start(gate.then(created));
  for (const char* const id : {"1", "2", "3"}) EXPECT_EQ(status(request(event(id, id))), 202U);
  const http::Response answer = send(request(event("4", "4")));
  EXPECT_EQ(answer.status, 503U);
  EXPECT_THAT(answer.body, HasSubstr("the queue is full"));
  gate.open();
  wait_for_metric(R"(events_received_total{flow="direct",outcome="created"} 3)");
  EXPECT_EQ(status(request(event("4", "4"))), 202U);
}

// Those that failed and wait for their next try hold no place in the queue, and have a bound all the same.
TEST_F(AtOnce, TheBoundHoldsAlsoForThoseThatWaitForTheApiServer) {
  config_.async_job_creator.max_retries = 0;
  config_.async_job_creator.max_queue_per_tenant = 2;
  start(in_order({status_answer(403, "Forbidden")}));
  EXPECT_EQ(status(request(event("1"))), 202U);
  EXPECT_EQ(status(request(event("2"))), 202U);
  support::run_until(io_, [&] { return pool_->stats().unavailable == 2; });
  EXPECT_EQ(status(request(event("3"))), 503U);
  EXPECT_EQ(status(request(event("4", "other"))), 202U);
}

TEST_F(AtOnce, WhileDrainingNoMoreIsTaken) {
  start(in_order({created}));
  drain(support::patience);
  const http::Response answer = send(request(event("1")));
  EXPECT_EQ(answer.status, 503U);
  EXPECT_THAT(answer.body, HasSubstr("shutting down"));
}

TEST_F(AtOnce, WithoutRabbitMqWhatCanNeverBeBuiltIsLostWithALine) {
  start(in_order({exists, job_metadata_answer("urn:other", "other")}));
  EXPECT_EQ(status(request(event("1"))), 202U);
  wait_for_log("an event that was answered at once is lost");
  EXPECT_THAT(logged(), HasSubstr(R"("event_id":"1")"));
  wait_for_metric(R"(events_received_total{flow="direct",outcome="unavailable"} 1)");
  EXPECT_EQ(status(request(event("2"))), 202U);
  EXPECT_EQ(imposter_->requests().size(), 2U) << "it was tried again";
}

TEST_F(AtOnce, WithoutRabbitMqADrainLosesWhatHasNoJobWithALineEach) {
  config_.async_job_creator.max_retries = 0;
  start(in_order({status_answer(403, "Forbidden")}));
  for (const char* const id : {"1", "2"}) EXPECT_EQ(status(request(event(id))), 202U);
  support::run_until(io_, [&] { return pool_->stats().unavailable >= 2; });
  drain(support::patience);
  wait_for_log(R"("msg":"an event that was answered at once is lost","event_id":"1")");
  wait_for_log(R"("msg":"an event that was answered at once is lost","event_id":"2")");
}

// --- batches ---

class BatchTest : public IntakeTest {};

TEST_F(BatchTest, AnEmptyOneIsTaken) {
  start(in_order({created}));
  const http::Response answer = send(batch(json::array()));
  EXPECT_EQ(answer.status, 202U);
  EXPECT_EQ(json::parse(answer.body).at("results"), json::array());
}

TEST_F(BatchTest, EachEventHasItsResultInItsPlace) {
  start([](const http::Request& received) {
    if (received.method == "GET") return job_metadata_answer(direct_source, "twice");
    return received.body.find("twice") == std::string::npos ? created : exists;
  });
  const http::Response answer = send(batch({event("1"), event("twice"), event("3", "other")}));
  EXPECT_EQ(answer.status, 202U);
  const json results = json::parse(answer.body).at("results");
  ASSERT_EQ(results.size(), 3U);
  EXPECT_EQ(results[0].at("duplicate"), false);
  EXPECT_EQ(results[1].at("duplicate"), true);
  EXPECT_EQ(results[2].at("duplicate"), false);
  EXPECT_NE(results[0].at("job_name"), results[2].at("job_name"));
}

TEST_F(BatchTest, OneThatCanNeverSucceedIsToldByItsPlace) {
  start(in_order({created}));
  json no_event = event("3");
  no_event.erase("type");
  const http::Response answer = send(batch({event("1"), poison("2"), no_event}));
  EXPECT_EQ(answer.status, 400U);
  const json results = json::parse(answer.body).at("results");
  EXPECT_EQ(results.at(0).at("status"), "queued");
  EXPECT_EQ(results.at(1).at("error").at("field"), "data.parameters.source_url");
  EXPECT_EQ(results.at(2).at("error").at("field"), "[2].type");
}

TEST_F(BatchTest, OneThatIsToBeSentAgainMakesItAll503) {
  config_.async_job_creator.max_retries = 0;
  start([](const http::Request& received) {
    return received.body.find("later") == std::string::npos ? created : status_answer(500, "InternalError");
  });
  const http::Response answer = send(batch({event("1"), poison("2"), event("later")}));
  EXPECT_EQ(answer.status, 503U);
  EXPECT_NE(header(answer, "Retry-After"), "");
  EXPECT_EQ(json::parse(answer.body).at("results").at(0).at("status"), "queued");
}

TEST_F(BatchTest, OneOfTheQueueThatCanNeverSucceedIsKeptByItsSenderWhereNobodyElseTakesIt) {
  start(in_order({created}));
  EXPECT_EQ(status(batch({event("1"), poison("2", queue_source)})), 503U);
}

TEST_F(BatchTest, ItMayHoldMoreOfOneTenantThanItsShareOfTheQueue) {
  config_.async_job_creator.worker_count = 1;
  config_.async_job_creator.max_queue_per_tenant = 3;
  start(in_order({created}));
  EXPECT_EQ(status(batch(events(20))), 202U);
  EXPECT_EQ(imposter_->requests().size(), 20U);
}

// If what is beyond the tenant's share were refused, the whole would come again, and be refused again.
TEST_F(BatchTest, ItIsNeverAnsweredAtOnce) {
  config_.async_job_creator.acknowledge = config::Acknowledge::immediate;
  config_.async_job_creator.max_queue_per_tenant = 3;
  start(in_order({created}));
  EXPECT_EQ(status(batch(events(20))), 202U);
  EXPECT_EQ(imposter_->requests().size(), 20U);
}

TEST_F(BatchTest, MoreEventsThanTheQueueHoldsAreTooMany) {
  config_.async_job_creator.max_queue_size = 3;
  start(in_order({created}));
  EXPECT_EQ(status(batch(events(4))), 413U);
  EXPECT_THAT(imposter_->requests(), ElementsAre());
}

TEST_F(BatchTest, WhatIsNoBatchIsRefused) {
  start(in_order({created}));
  EXPECT_EQ(status(batch(event("1"))), 400U);
  EXPECT_EQ(status(request(events(1), "application/cloudevents-batch+avro")), 415U);
}

// --- single requests ---

TEST_F(IntakeTest, ASenderMayPreferToBeAnsweredAtOnceWhereThatIsAllowed) {
  config_.intake.respond_async = true;
  Gate gate;
  start(gate.then(created));
  const http::Response answer =
      send(request(event("1"), structured, {{"Prefer", "return=minimal, Respond-Async; wait=10"}}));
  EXPECT_EQ(answer.status, 202U);
  EXPECT_EQ(header(answer, "Preference-Applied"), "respond-async");
}

TEST_F(IntakeTest, APreferenceThatIsNotAllowedOrAnotherIsNotApplied) {
  const http::Headers asked{{"Prefer", "respond-async"}};
  start(in_order({created}));
  EXPECT_EQ(header(send(request(event("1"), structured, asked)), "Preference-Applied"), "");
  config_.intake.respond_async = true;
  for (const char* const other : {"return=minimal", "respond-async-later", ""}) {
    EXPECT_EQ(header(send(request(event("2"), structured, {{"Prefer", other}})), "Preference-Applied"), "");
  }
  EXPECT_EQ(header(send(request(events(1), batch_type, asked)), "Preference-Applied"), "");
}

TEST_F(IntakeTest, TheTraceOfTheRequestIsTheEventsUnlessItHasItsOwn) {
  const std::string of_request = "00-11111111111111111111111111111111-2222222222222222-01";
  const std::string own = "00-33333333333333333333333333333333-4444444444444444-01";
  std::vector<std::string> bodies;
  start([&bodies](const http::Request& received) {
    bodies.push_back(received.body);
    return created;
  });
  json traced = event("2");
  traced["traceparent"] = own;
  EXPECT_EQ(status(request(event("1"), structured, {{"Traceparent", of_request}})), 202U);
  EXPECT_EQ(status(request(traced, structured, {{"Traceparent", of_request}})), 202U);
  EXPECT_THAT(bodies, ElementsAre(HasSubstr(of_request), AllOf(HasSubstr(own), Not(HasSubstr(of_request)))));
}

TEST_F(IntakeTest, AFlowThatIsSwitchedOffIsRefused) {
  config_.intake.accept_direct = false;
  start(in_order({created}));
  const http::Response answer = send(request(event("1")));
  EXPECT_EQ(answer.status, 403U);
  EXPECT_THAT(answer.body, HasSubstr("intake.accept"));
  EXPECT_EQ(status(request(event("1", "acme", queue_source))), 202U);
  config_.intake.accept_direct = true;
  config_.intake.accept_queue = false;
  EXPECT_EQ(status(request(event("2"))), 202U);
  EXPECT_EQ(status(request(event("2", "acme", queue_source))), 503U) << "a 4xx would be its end";
}

TEST_F(IntakeTest, ASenderIsKnownByItsTokenAndSpeaksForItsTenants) {
  std::ofstream(tokens_) << "{sender: token-of-the-sender}";
  config_.intake.auth = {
      config::Auth::Mode::bearer, tokens_, "", {config::AuthPrincipal{"sender", {"acme"}}}};
  start(in_order({created}));
  const http::Headers token{{"Authorization", "Bearer token-of-the-sender"}};
  EXPECT_EQ(status(request(event("1"), structured, token)), 202U);
  EXPECT_EQ(status(request(event("2", "other"), structured, token)), 403U);
  EXPECT_EQ(status(request(event("2", "other", queue_source), structured, token)), 503U);
  const http::Response stranger = send(request(event("3")));
  EXPECT_EQ(stranger.status, 401U);
  EXPECT_EQ(header(stranger, "WWW-Authenticate"), "Bearer");
  EXPECT_EQ(status(request(event("3", "acme", queue_source))), 503U) << "a dispatcher would drop it on a 401";
  EXPECT_EQ(status(batch({event("4"), event("5", "other")})), 401U);
}

TEST_F(IntakeTest, AHandshakeIsAnsweredToWhoAsksForOne) {
  const http::Response plain = Sink::handshake({"OPTIONS", "/", "", {}, ""});
  EXPECT_EQ(header(plain, "Allow"), "POST, OPTIONS");
  EXPECT_EQ(header(plain, "WebHook-Allowed-Origin"), "");
  const http::Response asked =
      Sink::handshake({"OPTIONS", "/", "", {{"WebHook-Request-Origin", "sender.example"}}, ""});
  EXPECT_EQ(header(asked, "WebHook-Allowed-Origin"), "sender.example");
  EXPECT_EQ(header(asked, "WebHook-Allowed-Rate"), "");
  const http::Headers with_rate{{"WebHook-Request-Origin", "sender.example"}, {"WebHook-Request-Rate", "9"}};
  EXPECT_EQ(header(Sink::handshake({"OPTIONS", "/", "", with_rate, ""}), "WebHook-Allowed-Rate"), "*");
}

TEST_F(IntakeTest, WhatTheServerRefusesIsNeverA4xxToADispatcher) {
  start(in_order({created}));
  const base::Error error{base::ErrorKind::too_large, "the body is too large", ""};
  EXPECT_EQ(sink_->refuse_request(413, error, {{"Ce-Source", direct_source}}).status, 413U);
  EXPECT_EQ(sink_->refuse_request(413, error, {{"Ce-Source", queue_source}}).status, 503U);
  EXPECT_EQ(sink_->refuse_request(400, error, {}).status, 400U);
  EXPECT_THAT(registry_.exposition(),
              HasSubstr(R"(events_received_total{flow="unknown",outcome="malformed"} 1)"));
}

// --- dead letters ---

class WithRabbitMq : public IntakeTest {
 protected:
  WithRabbitMq() {
    const amqp::Uri& uri = broker_.uri();
    config_.rabbitmq.uri =
        "amqp://" + uri.username + ":" + uri.password + "@" + uri.host + ":" + std::to_string(uri.port) + "/";
    config_.rabbitmq.dead_letter_exchange = broker_.new_name("dlx");  // there is none: straight to the queue
    config_.rabbitmq.dead_letter_queue = broker_.new_name("dlq");
  }

  void make_queue() { broker_.declare_queue_named(config_.rabbitmq.dead_letter_queue); }

  void start_with_one_that_is_in_the_way() {
    start(in_order({exists, job_metadata_answer("urn:other", "other")}));
  }

  // An event is answered at once, the API server forbids its Job, and then comes the drain.
  void drain_after_an_answer_without_a_job() {
    config_.async_job_creator.acknowledge = config::Acknowledge::immediate;
    config_.async_job_creator.max_retries = 0;
    start(in_order({status_answer(403, "Forbidden")}));
    EXPECT_EQ(status(request(event("1"))), 202U);
    support::run_until(io_, [&] { return pool_->stats().unavailable >= 1; });
    drain(support::patience);
  }

  json only_letter() {
    const std::vector<json> letters = broker_.take(config_.rabbitmq.dead_letter_queue);
    EXPECT_EQ(letters.size(), 1U);
    return letters.empty() ? json() : letters[0].at("properties").at("headers");
  }

  support::RabbitMq broker_;
};

TEST_F(WithRabbitMq, WhatCanNeverBeBuiltAndWasAnsweredAtOnceIsADeadLetter) {
  make_queue();
  config_.async_job_creator.acknowledge = config::Acknowledge::immediate;
  start_with_one_that_is_in_the_way();
  EXPECT_EQ(status(request(event("1"))), 202U);
  wait_for_metric(R"(events_received_total{flow="direct",outcome="dead_lettered"} 1)");
  const json headers = only_letter();
  EXPECT_EQ(headers.at("ce-id"), "1");
  EXPECT_EQ(headers.at("x-lambda-reason"), "conflict");
  EXPECT_EQ(headers.at("x-lambda-stage"), "create");
  EXPECT_EQ(headers.at("x-lambda-third-party-id"), "acme");
  EXPECT_EQ(headers.at("x-lambda-attempts"), "1");
  EXPECT_THAT(logged(), Not(HasSubstr("is lost")));
}

TEST_F(WithRabbitMq, ADeadLetterCountsAllTriesOfAnEventThatWasAnsweredAtOnce) {
  make_queue();
  config_.async_job_creator.acknowledge = config::Acknowledge::immediate;
  config_.async_job_creator.max_retries = 0;
  const http::Response away = status_answer(500, "InternalError");
  start(in_order({away, away, exists, job_metadata_answer("urn:other", "other")}));
  EXPECT_EQ(status(request(event("1"))), 202U);
  wait_for_metric(R"(events_received_total{flow="direct",outcome="dead_lettered"} 1)");
  EXPECT_EQ(only_letter().at("x-lambda-attempts"), "3");
}

TEST_F(WithRabbitMq, ADeadLetterThatFailsIsTriedAgainForAsLongAsWeRun) {
  config_.async_job_creator.acknowledge = config::Acknowledge::immediate;
  start_with_one_that_is_in_the_way();
  EXPECT_EQ(status(request(event("1"))), 202U);
  wait_for_metric(R"(dead_letter_failures_total{reason="returned"} 1)");
  make_queue();
  wait_for_metric(R"(events_received_total{flow="direct",outcome="dead_lettered"} 1)");
  EXPECT_EQ(only_letter().at("ce-id"), "1");
}

TEST_F(WithRabbitMq, ADrainDeadLettersWhatWasAnsweredAtOnceAndHasNoJob) {
  make_queue();
  drain_after_an_answer_without_a_job();
  const json headers = only_letter();
  EXPECT_EQ(headers.at("ce-id"), "1");
  EXPECT_EQ(headers.at("x-lambda-stage"), "create");
  EXPECT_EQ(headers.at("x-lambda-reason"), "unavailable");
}

TEST_F(WithRabbitMq, ADrainThatCannotDeadLetterSaysWhatIsLost) {
  drain_after_an_answer_without_a_job();
  wait_for_log(R"("msg":"an event that was answered at once is lost","event_id":"1")");
}

TEST_F(WithRabbitMq, WhatAWorkerStillHasAtTheEndIsADeadLetterToo) {
  make_queue();
  config_.async_job_creator.acknowledge = config::Acknowledge::immediate;
  Gate gate;
  start(gate.then(created));
  EXPECT_EQ(status(request(event("1"))), 202U);
  support::run_until(io_, [&] { return pool_->stats().active == 1; });
  drain(base::milliseconds(2'000));
  EXPECT_EQ(only_letter().at("ce-id"), "1");
}

TEST_F(WithRabbitMq, ADeliveryOfTheQueueThatIsNoEventIsADeadLetterWithoutItsCredentials) {
  make_queue();
  start(in_order({created}));
  const http::Headers headers{{"Ce-Source", queue_source}, {"Ce-Id", "1"}, {"Cookie", "secret"}};
  EXPECT_EQ(status(request("no event", "text/plain", headers)), 200U);
  const json letter = only_letter();
  EXPECT_EQ(letter.at("x-lambda-original"), "raw");
  EXPECT_THAT(letter.at("x-lambda-raw-headers").get<std::string>(),
              AllOf(HasSubstr("Ce-Id"), Not(HasSubstr("secret"))));
}

TEST_F(WithRabbitMq, AnEventOfTheQueueThatCanNeverBeBuiltIsADeadLetterAlsoInABatch) {
  make_queue();
  start_with_one_that_is_in_the_way();
  const http::Response answer = send(batch(json::array({event("1", "acme", queue_source)})));
  EXPECT_EQ(answer.status, 202U) << answer.body;
  EXPECT_EQ(json::parse(answer.body).at("results").at(0).at("status"), "dead-lettered");
  EXPECT_EQ(only_letter().at("ce-id"), "1");
}

}  // namespace
}  // namespace lambda::intake
