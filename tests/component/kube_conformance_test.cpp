// What lib/kube promises of its two transports, asked of both: over an imposter for what breaks, and over the
// real API server (KUBECONFIG, which `hack/test component` sets) for what works.
#include <cstdlib>
#include <future>
#include <memory>
#include <ostream>
#include <string>

#include <boost/asio/steady_timer.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/time.h"
#include "kube/connection.h"
#include "kube/rest_client.h"
#include "support/imposter.h"
#include "support/run.h"

namespace lambda::kube {
namespace {

using base::ErrorKind;
using base::milliseconds;
using base::Result;
using support::Imposter;
using support::in_order;
using support::status_answer;
using testing::HasSubstr;

class Transport {
 public:
  virtual ~Transport() = default;
  virtual Result<Answer> send(const Request& request, milliseconds timeout) = 0;
};

class OverBeast : public Transport {
 public:
  explicit OverBeast(const Cluster& cluster) : connection_(io_.get_executor(), *Endpoint::make(cluster)) {}
  Result<Answer> send(const Request& request, milliseconds timeout) override {
    return support::run(io_, connection_.send(request, base::Clock::now() + timeout));
  }

 private:
  boost::asio::io_context io_{1};
  Connection connection_;
};

class OverCpprest : public Transport {
 public:
  explicit OverCpprest(const Cluster& cluster) : client_(cluster) {}
  Result<Answer> send(const Request& request, milliseconds timeout) override {
    return client_.send(request, timeout);
  }

 private:
  RestClient client_;
};

struct Kind {
  const char* name;
  std::unique_ptr<Transport> (*make)(const Cluster&);
};

// How GoogleTest shows the parameter; its own way would be the bytes of the pointers.
void PrintTo(const Kind& kind, std::ostream* out) {
  *out << kind.name;
}

template <class T>
std::unique_ptr<Transport> make_transport(const Cluster& cluster) {
  return std::make_unique<T>(cluster);
}

class Conformance : public testing::TestWithParam<Kind> {
 protected:
  std::unique_ptr<Transport> transport(const Cluster& cluster) { return GetParam().make(cluster); }

  static Cluster real_cluster() {
    const char* const kubeconfig = std::getenv("KUBECONFIG");
    if (kubeconfig == nullptr) throw std::runtime_error("no KUBECONFIG: run hack/test component");
    const auto cluster = load_kubeconfig(kubeconfig);
    if (!cluster) throw std::runtime_error(cluster.error().message);
    return *cluster;
  }

  const Request get_ = *get_job_metadata("builds", "some-job");
  const Request create_ = *create_job("builds", R"({"kind":"Job"})");
};

TEST_P(Conformance, SendsTheRequestAsItIsWithItsToken) {
  http::Request seen;
  Imposter imposter([&](const http::Request& request) {
    seen = request;
    return http::Response{201, "", "{}", {}};
  });
  Cluster cluster = imposter.cluster();
  cluster.token = "secret";
  const auto answer = transport(cluster)->send(create_, support::patience);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(seen.method, "POST");
  EXPECT_EQ(seen.path + "?" + seen.query, create_.target);
  EXPECT_EQ(seen.body, create_.body);
  EXPECT_EQ(http::find_header(seen.headers, "Accept"), create_.accept);
  EXPECT_EQ(http::find_header(seen.headers, "Content-Type"), "application/json");
  EXPECT_EQ(http::find_header(seen.headers, "Authorization"), "Bearer secret");
  EXPECT_THAT(std::string(http::find_header(seen.headers, "User-Agent")),
              testing::StartsWith("knative-lambda/"));
}

TEST_P(Conformance, GivesEveryAnswerAsItIs) {
  for (const unsigned status : {200U, 302U, 404U, 409U, 429U, 503U}) {
    Imposter imposter(in_order(
        {status_answer(status, "Reason", {{"Retry-After", "7"}, {"Location", "http://127.0.0.1:1/"}})}));
    const auto answer = transport(imposter.cluster())->send(get_, support::patience);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->status, status);
    EXPECT_THAT(answer->body, HasSubstr("Reason"));
    EXPECT_EQ(answer->retry_after, std::chrono::seconds(7));
    EXPECT_EQ(imposter.requests().size(), 1U);  // no redirect is followed
  }
}

TEST_P(Conformance, KeepsItsConnectionAndSurvivesItsEnd) {
  std::atomic<int> left = 2;
  Imposter imposter([&](const http::Request&) -> std::optional<http::Response> {
    if (left-- == 0) return std::nullopt;
    return http::Response{200, "", "{}", {}};
  });
  const auto kept = transport(imposter.cluster());
  for (int i = 0; i < 3; ++i) {
    const auto answer = kept->send(get_, support::patience);
    ASSERT_TRUE(answer) << i << answer.error().message;
  }
  EXPECT_EQ(imposter.requests().size(), 4U);  // the third was sent twice
}

TEST_P(Conformance, AConnectionThatBreaksAtOnceIsUnavailable) {
  Imposter imposter(in_order({std::nullopt}));
  const auto answer = transport(imposter.cluster())->send(get_, support::patience);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::unavailable);
}

TEST_P(Conformance, NobodyThereIsUnavailable) {
  Cluster nowhere;
  {
    nowhere = Imposter(in_order({std::nullopt})).cluster();
  }
  const auto answer = transport(nowhere)->send(get_, support::patience);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::unavailable);
  EXPECT_THAT(answer.error().message, HasSubstr(nowhere.url()));
}

TEST_P(Conformance, ASilentServerIsATimeout) {
  std::promise<void> release;
  Imposter imposter([gate = release.get_future().share()](const http::Request&) {
    gate.wait();
    return std::nullopt;
  });
  const auto answer = transport(imposter.cluster())->send(get_, milliseconds(50));
  release.set_value();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::timeout);
}

TEST_P(Conformance, ADeadlineBeforeThatOfTheRequestBeforeCounts) {
  std::promise<void> release;
  std::atomic<bool> first = true;
  Imposter imposter(
      [&, gate = release.get_future().share()](const http::Request&) -> std::optional<http::Response> {
        if (first.exchange(false)) return http::Response{200, "", "{}", {}};
        gate.wait();
        return std::nullopt;
      });
  const auto kept = transport(imposter.cluster());
  const auto answered = kept->send(get_, support::patience);
  const auto late = kept->send(get_, milliseconds(50));
  release.set_value();
  EXPECT_TRUE(answered) << answered.error().message;
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::timeout);
}

TEST_P(Conformance, A401ReadsTheTokenAgainOnce) {
  std::string path = testing::TempDir() + "/token-XXXXXX";
  ::close(::mkstemp(path.data()));
  Imposter imposter(in_order({status_answer(401, "Unauthorized"), http::Response{200, "", "{}", {}}}));
  Cluster cluster = imposter.cluster();
  cluster.token_file = path;
  EXPECT_EQ(transport(cluster)->send(get_, support::patience)->status, 200U);
  ::unlink(path.c_str());
}

TEST_P(Conformance, TheRealApiServerAnswersOverTls) {
  const auto real = transport(real_cluster());
  const auto missing = real->send(*get_job_metadata("default", "no-such-job"), support::patience);
  ASSERT_TRUE(missing) << missing.error().message;
  EXPECT_EQ(missing->status, 404U);
  EXPECT_EQ(to_error(*missing).kind, ErrorKind::not_found);
  const auto invalid = real->send(*dry_run_create_job("default", R"({"apiVersion":"batch/v1","kind":"Job"})"),
                                  support::patience);
  ASSERT_TRUE(invalid) << invalid.error().message;
  EXPECT_EQ(to_error(*invalid).kind, ErrorKind::invalid);
}

TEST_P(Conformance, AnAnswerOfManyTlsRecordsIsReadWhole) {
  constexpr std::size_t record_max_bytes = 16384;
  const auto real = transport(real_cluster());
  for (int i = 0; i < 2; ++i) {
    const auto schema =
        real->send({Method::get, "/openapi/v3/apis/batch/v1", "application/json", ""}, support::patience);
    ASSERT_TRUE(schema) << schema.error().message;
    EXPECT_EQ(schema->status, 200U);
    EXPECT_GT(schema->body.size(), 2 * record_max_bytes);
    EXPECT_TRUE(schema->body.ends_with('}'));
  }
}

TEST_P(Conformance, AServerThatTheAuthorityDoesNotKnowIsNotTrusted) {
  Cluster cluster = real_cluster();
  cluster.ca_pem.clear();  // the system's authorities did not sign the test bed
  const auto answer = transport(cluster)->send(get_, support::patience);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::unavailable);
}

TEST_P(Conformance, ACertificateForAnotherNameIsNotTrusted) {
  Cluster cluster = real_cluster();
  cluster.tls_server_name = "not-the-api-server.example";
  const auto answer = transport(cluster)->send(get_, support::patience);
  ASSERT_FALSE(answer);
}

TEST_P(Conformance, AWrongTokenIsToldAsUnauthenticated) {
  Cluster cluster = real_cluster();
  cluster.token = "wrong";
  const auto answer = transport(cluster)->send(get_, support::patience);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(to_error(*answer).kind, ErrorKind::unauthenticated);
}

INSTANTIATE_TEST_SUITE_P(, Conformance,
                         testing::Values(Kind{"beast", &make_transport<OverBeast>},
                                         Kind{"cpprest", &make_transport<OverCpprest>}),
                         [](const testing::TestParamInfo<Kind>& kind) { return kind.param.name; });

TEST(OverBeast, AnAnswerThatIsTooLargeIsUnavailable) {
  Imposter imposter(in_order({http::Response{200, "", std::string(4194305, 'x'), {}}}));
  const auto answer = OverBeast(imposter.cluster()).send(*get_job_metadata("builds", "j"), support::patience);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::unavailable);
}

TEST(Endpoint, CertificatesThatAreNoneAreRefusedAtOnce) {
  Cluster cluster;
  cluster.host = "127.0.0.1";
  cluster.ca_pem = "no certificate";
  EXPECT_EQ(Endpoint::make(cluster).error().kind, ErrorKind::invalid);
}

}  // namespace
}  // namespace lambda::kube
