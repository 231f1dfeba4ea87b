// The pure parts of builder/auth: tokens, the cache, what a review says.
#include <chrono>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "auth/authenticator.h"
#include "auth/expiring_cache.h"
#include "auth/token.h"
#include "auth/token_review.h"

namespace lambda::auth {
namespace {

using base::ErrorKind;
using base::TimePoint;
using std::chrono::seconds;
using std::chrono::system_clock;
using testing::HasSubstr;
using testing::Not;

TEST(BearerToken, IsWhatFollowsTheScheme) {
  EXPECT_EQ(bearer_token("Bearer abc"), "abc");
  EXPECT_EQ(bearer_token("bEARER   abc.def-_~+/== "), "abc.def-_~+/==");
}

TEST(BearerToken, AnythingElseIsUnauthenticatedAndNotQuoted) {
  for (const std::string& header :
       {std::string(), std::string("Bearer"), std::string("Bearer "), std::string("Basic secret"),
        std::string("secret"), std::string("Bearer secret secret"), std::string("Bearer sec\0ret", 14),
        std::string("Bearer secret\xFF"), std::string("Bearer\tsecret"),
        "Bearer " + std::string(8193, 's')}) {
    const auto token = bearer_token(header);
    ASSERT_FALSE(token) << header;
    EXPECT_EQ(token.error().kind, ErrorKind::unauthenticated);
    EXPECT_THAT(token.error().message, Not(HasSubstr("secret")));
  }
  EXPECT_TRUE(bearer_token("Bearer " + std::string(8192, 's')));
}

TEST(TokenDigest, IsTheProcessesOwn) {
  const TokenDigest one;
  const TokenDigest other;
  EXPECT_EQ(one.of("token"), one.of("token"));
  EXPECT_NE(one.of("token"), one.of("token2"));
  EXPECT_NE(one.of("token"), other.of("token"));
}

TEST(Expiry, IsReadFromAJwt) {
  // {"exp":1700000000}
  EXPECT_EQ(expiry_of("e30.eyJleHAiOjE3MDAwMDAwMDB9.sig"), system_clock::from_time_t(1'700'000'000));
  // {"exp":1e300}, {"exp":-5}: kept within what the clock holds
  EXPECT_GT(expiry_of("e30.eyJleHAiOjFlMzAwfQ.sig"), system_clock::now());
  EXPECT_EQ(expiry_of("e30.eyJleHAiOi01fQ.sig"), system_clock::from_time_t(0));
}

TEST(Expiry, IsUnknownOfAnythingElse) {
  // no JWT; no base64; no JSON; {"exp":"1"}; []; {}
  for (const char* const token : {"", "opaque", "a.b", "..", "e30.%%%.sig", "e30.bm8.sig",
                                  "e30.eyJleHAiOiIxIn0.sig", "e30.W10.sig", "e30.e30.sig"}) {
    EXPECT_EQ(expiry_of(token), std::nullopt) << token;
  }
}

TEST(ExpiringCache, AnEntryEndsAtItsTime) {
  ExpiringCache cache(2);
  const TimePoint start{};
  cache.put("a", "1", start + seconds(10));
  EXPECT_EQ(cache.find("a", start + seconds(9)), "1");
  EXPECT_EQ(cache.find("a", start + seconds(10)), std::nullopt);
  EXPECT_EQ(cache.size(), 0U);
}

TEST(ExpiringCache, TheOldestGoesWhenItIsFull) {
  ExpiringCache cache(2);
  const TimePoint start{};
  const TimePoint later = start + seconds(10);
  cache.put("a", "1", later);
  cache.put("b", "2", later);
  cache.put("a", "3", later);  // newer than b now
  cache.put("c", "4", later);
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_EQ(cache.find("a", start), "3");
  EXPECT_EQ(cache.find("b", start), std::nullopt);
  EXPECT_EQ(cache.find("c", start), "4");
}

base::Result<std::string> review(const std::string& status) {
  return read_review({201, R"({"kind":"TokenReview","status":)" + status + "}", std::nullopt}, "builder");
}

TEST(TokenReview, NamesTheUser) {
  EXPECT_EQ(review(R"({"authenticated":true,"audiences":["x","builder"],"user":{"username":"u"}})"), "u");
}

TEST(TokenReview, WhatIsNotClearlyAYesIsANo) {
  for (const char* const status :
       {R"({})", R"({"error":"invalid"})", R"({"authenticated":false,"audiences":["builder"]})",
        R"({"authenticated":"true","audiences":["builder"],"user":{"username":"u"}})",
        R"({"authenticated":1,"audiences":["builder"],"user":{"username":"u"}})",
        R"({"authenticated":true,"audiences":["other"],"user":{"username":"u"}})",
        R"({"authenticated":true,"audiences":[],"user":{"username":"u"}})",
        R"({"authenticated":true,"user":{"username":"u"}})",
        R"({"authenticated":true,"audiences":"builder","user":{"username":"u"}})",
        R"({"authenticated":true,"audiences":["builder"],"user":{"username":""}})",
        R"({"authenticated":true,"audiences":["builder"],"user":"u"})",
        R"({"authenticated":true,"audiences":["builder"]})"}) {
    const auto name = review(status);
    ASSERT_FALSE(name) << status;
    EXPECT_EQ(name.error().kind, ErrorKind::unauthenticated) << status;
  }
}

TEST(TokenReview, OurOwnTroubleIsNotTheSenders) {
  for (const unsigned status : {400U, 401U, 403U, 404U, 422U, 429U, 500U}) {
    EXPECT_EQ(read_review({status, "", std::nullopt}, "builder").error().kind, ErrorKind::unavailable)
        << status;
  }
  EXPECT_EQ(read_review({504, "", std::nullopt}, "builder").error().kind, ErrorKind::timeout);
  for (const char* const body : {"", "no json", "[]", "{}", R"({"status":7})"}) {
    EXPECT_EQ(read_review({201, body, std::nullopt}, "builder").error().kind, ErrorKind::unavailable) << body;
  }
}

TEST(Principal, SpeaksForItsTenantsOnly) {
  const auto some = std::make_shared<Tenants>(Tenants{false, {"acme", "other"}});
  EXPECT_TRUE((Principal{"p", some}.may_speak_for("acme")));
  EXPECT_FALSE((Principal{"p", some}.may_speak_for("acm")));
  EXPECT_FALSE((Principal{"p", some}.may_speak_for("*")));
  EXPECT_FALSE((Principal{"p", nullptr}.may_speak_for("acme")));
  EXPECT_TRUE((Principal{"p", std::make_shared<Tenants>(Tenants{true, {}})}.may_speak_for("acme")));
}

}  // namespace
}  // namespace lambda::auth
