// builder/auth: against an imposter of the API server for what goes wrong, and against the real one
// (KUBECONFIG, which `hack/test component` sets) for what its token reviews say.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "auth/authenticator.h"
#include "support/imposter.h"
#include "support/run.h"

namespace lambda::auth {
namespace {

namespace asio = boost::asio;
using base::ErrorKind;
using base::Result;
using std::chrono::seconds;
using support::Imposter;
using support::in_order;
using support::status_answer;
using testing::HasSubstr;
using testing::Not;

http::Response reviewed(const std::string& user) {
  return {
      201,
      "",
      R"({"status":{"authenticated":true,"audiences":["builder"],"user":{"username":")" + user + R"("}}})",
      {}};
}
const http::Response refused{
    201, "", R"({"status":{"authenticated":false,"error":"invalid bearer token"}})", {}};

// An Authenticator with a clock that the test moves, and a log that it reads.
class AuthTest : public testing::Test {
 protected:
  void TearDown() override {
    authenticator_.reset();
    ::unlink(tokens_.c_str());
    ::unlink(log_file_.c_str());
  }

  void start(const config::Auth& settings, const kube::Cluster& cluster = {}) {
    authenticator_ = std::make_unique<Authenticator>(
        io_.get_executor(), settings, *kube::Endpoint::make(cluster), *log_, [this] { return now_; });
  }

  void start_oidc(const kube::Cluster& cluster) {
    config::Auth settings;
    settings.mode = config::Auth::Mode::oidc;
    settings.audience = "builder";
    settings.principals = {{"sender", {"acme"}}};
    start(settings, cluster);
  }
  void start_oidc(Imposter::Script script) {
    imposter_ = std::make_unique<Imposter>(std::move(script));
    start_oidc(imposter_->cluster());
  }

  void start_bearer(const std::string& tokens) {
    write_tokens(tokens);
    config::Auth settings;
    settings.mode = config::Auth::Mode::bearer;
    settings.tokens_file = tokens_;
    settings.principals = {{"sender", {"acme"}}};
    start(settings);
  }

  // By a new file, as Kubernetes replaces the files of a mounted Secret.
  void write_tokens(const std::string& tokens) {
    std::ofstream(tokens_ + ".new") << tokens;
    ASSERT_EQ(std::rename((tokens_ + ".new").c_str(), tokens_.c_str()), 0);
  }

  asio::awaitable<Result<Principal>> call(const std::string& authorization) {
    return authenticator_->authenticate(authorization, base::Clock::now() + support::patience);
  }
  Result<Principal> authenticate(const std::string& authorization) {
    return support::run(io_, call(authorization));
  }
  std::string name_of(const std::string& authorization) {
    const auto principal = authenticate(authorization);
    return principal ? principal->name : std::string(base::to_string(principal.error().kind));
  }

  // What was logged; ends the log.
  std::string logged() {
    authenticator_.reset();
    log_.reset();
    std::ifstream stream(log_file_);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  const std::string tokens_ = testing::TempDir() + "/auth_test_tokens_" + std::to_string(::getpid());
  const std::string log_file_ = testing::TempDir() + "/auth_test_log_" + std::to_string(::getpid());
  base::TimePoint now_ = base::Clock::now();
  std::unique_ptr<base::Log> log_ = std::make_unique<base::Log>(
      base::Level::debug, ::open(log_file_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
  asio::io_context io_{1};
  std::unique_ptr<Imposter> imposter_;
  std::unique_ptr<Authenticator> authenticator_;
};

TEST_F(AuthTest, WithoutAuthenticationEverybodySpeaksForAll) {
  start({});
  for (const char* const header : {"", "Bearer x", "nonsense"}) {
    const auto principal = authenticate(header);
    ASSERT_TRUE(principal);
    EXPECT_TRUE(principal->may_speak_for("acme"));
  }
}

TEST_F(AuthTest, ATokenOfTheFileIsItsPrincipal) {
  start_bearer("{sender: token-of-the-sender, stranger: [token-of-stranger-1, token-of-stranger-2]}");
  const auto sender = authenticate("Bearer token-of-the-sender");
  ASSERT_TRUE(sender);
  EXPECT_EQ(sender->name, "sender");
  EXPECT_TRUE(sender->may_speak_for("acme"));
  EXPECT_FALSE(sender->may_speak_for("other"));
  const auto stranger = authenticate("Bearer token-of-stranger-2");
  ASSERT_TRUE(stranger);
  EXPECT_FALSE(stranger->may_speak_for("acme"));  // has no entry among the principals
  for (const char* const header : {"", "Bearer", "Bearer token-of-the-sende", "Bearer token-of-the-senderr",
                                   "Basic token-of-the-sender", "Bearer sender"}) {
    EXPECT_EQ(name_of(header), "unauthenticated") << header;
  }
}

TEST_F(AuthTest, AChangedTokensFileIsReadAgainAfterASecond) {
  start_bearer("sender: token-number-one-");
  EXPECT_EQ(name_of("Bearer token-number-one-"), "sender");
  write_tokens("sender: token-number-two-");
  EXPECT_EQ(name_of("Bearer token-number-two-"), "unauthenticated");
  now_ += seconds(1);
  EXPECT_EQ(name_of("Bearer token-number-two-"), "sender");
  EXPECT_EQ(name_of("Bearer token-number-one-"), "unauthenticated");
}

TEST_F(AuthTest, ATokensFileThatBreaksLaterLeavesTheOldTokensAndOneWarning) {
  start_bearer("sender: token-number-one-");
  EXPECT_EQ(name_of("Bearer token-number-one-"), "sender");
  for (const char* const broken :
       {"", "sender: secret", "sender: token-number-two-\nsender: token-number-two-"}) {
    write_tokens(broken);
    for (int i = 0; i < 3; ++i) {
      now_ += seconds(1);
      EXPECT_EQ(name_of("Bearer token-number-one-"), "sender") << broken;
    }
  }
  ::unlink(tokens_.c_str());
  now_ += seconds(1);
  EXPECT_EQ(name_of("Bearer token-number-one-"), "sender");
  write_tokens("sender: token-number-one-");
  now_ += seconds(1);
  EXPECT_EQ(name_of("Bearer token-number-one-"), "sender");
  const std::string lines = logged();
  std::size_t warnings = 0;
  for (std::size_t at = 0; (at = lines.find("can't be used", at)) != std::string::npos; ++at) ++warnings;
  EXPECT_EQ(warnings, 4U) << lines;  // one each, not one a second
  EXPECT_THAT(lines, HasSubstr("was read again"));
  EXPECT_THAT(lines, Not(HasSubstr("token-number")));
  EXPECT_THAT(lines, Not(HasSubstr("secret")));
}

TEST_F(AuthTest, ATokensFileThatWasNeverReadableIsUnavailable) {
  start_bearer("nothing");
  EXPECT_EQ(name_of("Bearer token-number-one-"), "unavailable");
}

TEST_F(AuthTest, AReviewedTokenIsItsUser) {
  start_oidc([](const http::Request& request) {
    const auto body = nlohmann::json::parse(request.body);
    const bool good = request.path == "/apis/authentication.k8s.io/v1/tokenreviews" &&
                      body["spec"]["token"] == "good" &&
                      body["spec"]["audiences"] == nlohmann::json::array({"builder"});
    return good ? reviewed("sender") : refused;
  });
  const auto sender = authenticate("Bearer good");
  ASSERT_TRUE(sender) << sender.error().message;
  EXPECT_EQ(sender->name, "sender");
  EXPECT_TRUE(sender->may_speak_for("acme"));
  EXPECT_FALSE(sender->may_speak_for("other"));
  EXPECT_EQ(name_of("Bearer bad"), "unauthenticated");
}

TEST_F(AuthTest, WithoutATokenNobodyIsAsked) {
  start_oidc(in_order({reviewed("sender")}));
  EXPECT_EQ(name_of(""), "unauthenticated");
  EXPECT_EQ(name_of("Bearer " + std::string(8193, 'x')), "unauthenticated");
  EXPECT_EQ(imposter_->requests().size(), 0U);
}

TEST_F(AuthTest, AGoodReviewHoldsForAMinute) {
  start_oidc(in_order({reviewed("sender"), refused}));
  EXPECT_EQ(name_of("Bearer token"), "sender");
  now_ += seconds(59);
  EXPECT_EQ(name_of("Bearer token"), "sender");
  EXPECT_EQ(imposter_->requests().size(), 1U);
  now_ += seconds(1);
  EXPECT_EQ(name_of("Bearer token"), "unauthenticated");
}

TEST_F(AuthTest, ABadReviewHoldsForTenSeconds) {
  start_oidc(in_order({refused, reviewed("sender")}));
  EXPECT_EQ(name_of("Bearer token"), "unauthenticated");
  now_ += seconds(9);
  EXPECT_EQ(name_of("Bearer token"), "unauthenticated");
  EXPECT_EQ(imposter_->requests().size(), 1U);
  now_ += seconds(1);
  EXPECT_EQ(name_of("Bearer token"), "sender");
}

TEST_F(AuthTest, AReviewDoesNotOutliveItsToken) {
  start_oidc(in_order({reviewed("sender")}));
  const std::string ended = "Bearer e30.eyJleHAiOjE3MDAwMDAwMDB9.sig";  // {"exp":1700000000}
  EXPECT_EQ(name_of(ended), "sender");
  EXPECT_EQ(name_of(ended), "sender");
  EXPECT_EQ(imposter_->requests().size(), 2U);
}

TEST_F(AuthTest, AFloodOfBadTokensDrivesOutNoGoodOne) {
  start_oidc([](const http::Request& request) {
    return request.body.find("\"good\"") != std::string::npos ? reviewed("sender") : refused;
  });
  EXPECT_EQ(name_of("Bearer good"), "sender");
  for (int i = 0; i < 1100; ++i) EXPECT_EQ(name_of("Bearer bad" + std::to_string(i)), "unauthenticated");
  const std::size_t before = imposter_->requests().size();
  EXPECT_EQ(name_of("Bearer good"), "sender");
  EXPECT_EQ(imposter_->requests().size(), before);
}

// The API server's trouble, and ours with it, is never the sender's: it comes back with the same token.
TEST_F(AuthTest, AnApiServerThatCannotReviewIsUnavailable) {
  for (const unsigned status : {401U, 403U, 404U, 422U, 429U, 500U, 503U}) {
    start_oidc(in_order({status_answer(status, "Trouble"), reviewed("sender")}));
    EXPECT_EQ(name_of("Bearer token"), "unavailable") << status;
    EXPECT_EQ(name_of("Bearer token"), "sender") << status;  // that was not remembered
  }
}

TEST_F(AuthTest, AnExpiredReviewIsNotUsedWhileTheApiServerIsAway) {
  start_oidc(in_order({reviewed("sender"), std::nullopt}));
  EXPECT_EQ(name_of("Bearer token"), "sender");
  now_ += seconds(60);
  EXPECT_EQ(name_of("Bearer token"), "unavailable");
}

TEST_F(AuthTest, NobodyThereIsUnavailableAndTheLogSaysSoWithoutTheToken) {
  kube::Cluster nowhere;
  {
    nowhere = Imposter(in_order({std::nullopt})).cluster();
  }
  start_oidc(nowhere);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(name_of("Bearer secret"), "unavailable");
  const std::string lines = logged();
  EXPECT_THAT(lines, HasSubstr("cannot have a token reviewed"));
  EXPECT_EQ(lines.find("cannot have"), lines.rfind("cannot have"));  // once in ten seconds
  EXPECT_THAT(lines, Not(HasSubstr("secret")));
}

TEST_F(AuthTest, AServerThatRepeatsTheTokenDoesNotGetItLogged) {
  start_oidc(in_order({http::Response{500, "", R"({"reason":"X","message":"what is a secret for?"})", {}}}));
  const auto principal = authenticate("Bearer secret");
  ASSERT_FALSE(principal);
  EXPECT_THAT(principal.error().message, Not(HasSubstr("secret")));
  EXPECT_THAT(logged(), Not(HasSubstr("secret")));
}

TEST_F(AuthTest, CallsWithTheSameTokenShareOneReview) {
  std::promise<void> release;
  start_oidc([gate = release.get_future().share()](const http::Request&) {
    gate.wait();
    return reviewed("sender");
  });
  std::vector<std::string> names;
  for (int i = 0; i < 20; ++i) {
    asio::co_spawn(io_, call("Bearer token"),
                   [&](const std::exception_ptr&, const Result<Principal>& principal) {
                     names.push_back(principal ? principal->name : principal.error().message);
                   });
  }
  support::run_until(io_, [&] { return imposter_->requests().size() == 1; });
  release.set_value();
  support::run_until(io_, [&] { return names.size() == 20; });
  EXPECT_THAT(names, testing::Each("sender"));
  EXPECT_EQ(imposter_->requests().size(), 1U);
}

TEST_F(AuthTest, ASilentApiServerIsATimeoutAtTheCallersDeadline) {
  std::promise<void> release;
  start_oidc([gate = release.get_future().share()](const http::Request&) {
    gate.wait();
    return reviewed("sender");
  });
  const auto late = support::run(
      io_, authenticator_->authenticate("Bearer token", base::Clock::now() + base::milliseconds(20)));
  release.set_value();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::timeout);
  EXPECT_EQ(name_of("Bearer token"), "sender");
}

TEST_F(AuthTest, ManyTokensAtOnceAreBounded) {
  std::promise<void> release;
  start_oidc([gate = release.get_future().share()](const http::Request&) {
    gate.wait();
    return reviewed("sender");
  });
  int good = 0;
  int turned_away = 0;
  for (int i = 0; i < 300; ++i) {
    asio::co_spawn(io_, call("Bearer token" + std::to_string(i)),
                   [&](const std::exception_ptr&, const Result<Principal>& principal) {
                     ++(principal ? good : turned_away);
                   });
  }
  support::run_until(io_, [&] { return turned_away == 300 - 260; });
  support::run_until(io_, [&] { return imposter_->requests().size() == 4; });
  release.set_value();
  support::run_until(io_, [&] { return good == 260; });
  EXPECT_EQ(turned_away, 40);
}

TEST_F(AuthTest, ItMayGoWhileCallsAreUnderWay) {
  std::promise<void> release;
  start_oidc([gate = release.get_future().share()](const http::Request&) {
    gate.wait();
    return reviewed("sender");
  });
  std::optional<Result<Principal>> outcome;
  asio::co_spawn(io_, call("Bearer token"), [&](const std::exception_ptr&, Result<Principal> principal) {
    outcome = std::move(principal);
  });
  support::run_until(io_, [&] { return imposter_->requests().size() == 1; });
  authenticator_.reset();
  release.set_value();
  support::run_until(io_, [&] { return outcome.has_value(); });
  EXPECT_TRUE(*outcome);
}

// ---------------------------------------------------------------------------------------------------------------------

// The real API server, with tokens that it makes for the service account default/default.
class RealAuthTest : public AuthTest {
 protected:
  static kube::Cluster real_cluster() {
    const char* const kubeconfig = std::getenv("KUBECONFIG");
    if (kubeconfig == nullptr) throw std::runtime_error("no KUBECONFIG: run hack/test component");
    return kube::load_kubeconfig(kubeconfig).value();
  }

  std::string make_token(const std::string& audience) {
    const kube::Request request{
        kube::Method::post, "/api/v1/namespaces/default/serviceaccounts/default/token", "application/json",
        R"({"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{)"
        R"("audiences":[")" +
            audience + R"("],"expirationSeconds":600}})"};
    kube::Connection connection(io_.get_executor(), *kube::Endpoint::make(real_cluster()));
    const auto answer = support::run(io_, connection.send(request, base::Clock::now() + support::patience));
    if (!answer || !answer->ok()) throw std::runtime_error("no token: " + (answer ? answer->body : ""));
    return nlohmann::json::parse(answer->body)["status"]["token"];
  }
};

TEST_F(RealAuthTest, AServiceAccountIsKnownByATokenForOurAudience) {
  start_oidc(real_cluster());
  EXPECT_EQ(name_of("Bearer " + make_token("builder")), "system:serviceaccount:default:default");
}

TEST_F(RealAuthTest, ATokenForAnotherAudienceIsRefused) {
  start_oidc(real_cluster());
  EXPECT_EQ(name_of("Bearer " + make_token("other")), "unauthenticated");
}

TEST_F(RealAuthTest, ATokenThatWasChangedIsRefused) {
  start_oidc(real_cluster());
  std::string token = make_token("builder");
  const std::size_t in_signature = token.rfind('.') + 10;
  token[in_signature] = token[in_signature] == 'A' ? 'B' : 'A';
  EXPECT_EQ(name_of("Bearer " + token), "unauthenticated");
  EXPECT_EQ(name_of("Bearer opaque"), "unauthenticated");
}

TEST_F(RealAuthTest, AnApiServerThatDoesNotAcceptOurselvesIsUnavailable) {
  const std::string token = make_token("builder");
  kube::Cluster cluster = real_cluster();
  cluster.client_certificate_pem.clear();
  cluster.client_key_pem.clear();
  cluster.token = "wrong";
  start_oidc(cluster);
  EXPECT_EQ(name_of("Bearer " + token), "unavailable");
}

}  // namespace
}  // namespace lambda::auth
