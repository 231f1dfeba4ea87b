#include <array>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/backoff.h"
#include "base/base64.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "base/token_bucket.h"

namespace lambda::base {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(Error, DescriptionNamesTheFieldFirst) {
  EXPECT_EQ(describe({ErrorKind::invalid, "is no number", "data.priority"}), "data.priority: is no number");
  EXPECT_EQ(describe({ErrorKind::invalid, "no body", ""}), "no body");
}

TEST(Error, OnlyWhatPassesByItselfIsWorthRetrying) {
  EXPECT_TRUE(worth_retrying(ErrorKind::unavailable));
  EXPECT_TRUE(worth_retrying(ErrorKind::timeout));
  for (const ErrorKind kind :
       {ErrorKind::invalid, ErrorKind::too_large, ErrorKind::forbidden, ErrorKind::not_found,
        ErrorKind::unauthenticated, ErrorKind::conflict, ErrorKind::internal}) {
    EXPECT_FALSE(worth_retrying(kind)) << to_string(kind);
  }
}

TEST(Text, Utf8FollowsRfc3629) {
  for (const char* good : {"", "abc", "ä", "€", "😀", "\xF4\x8F\xBF\xBF"})
    EXPECT_TRUE(is_valid_utf8(good)) << good;
  const std::string_view overlong_nul = "\xC0\x80";
  const std::string_view surrogate = "\xED\xA0\x80";
  const std::string_view too_high = "\xF4\x90\x80\x80";
  for (const std::string_view bad :
       {overlong_nul, surrogate, too_high, std::string_view("\x80"), std::string_view("\xE2\x82"),
        std::string_view("\xE0\x80\xAF"), std::string_view("\xFF")}) {
    EXPECT_FALSE(is_valid_utf8(bad));
  }
}

TEST(Text, CutNeverSplitsACharacter) {
  EXPECT_EQ(cut("abc", 3), "abc");
  EXPECT_EQ(cut("abcdefgh", 6), "abc…");
  EXPECT_EQ(cut("ääääää", 6), "ä…");
  for (std::size_t limit = 0; limit < 14; ++limit) {
    const std::string out = cut("ääääää", limit);
    EXPECT_LE(out.size(), std::max<std::size_t>(limit, 0));
    EXPECT_TRUE(is_valid_utf8(out)) << limit;
  }
}

TEST(Text, QuoteIsSafeOnATerminal) {
  EXPECT_EQ(quote("a\x1B[31mb\n"), "\"a?[31mb?\"");
  EXPECT_EQ(quote("\xFFx"), "\"?x\"");
  EXPECT_EQ(quote("ä"), "\"ä\"");
  EXPECT_LT(quote(std::string(1000, 'x')).size(), 80U);
}

TEST(Text, DnsLabelsAreWhatKubernetesTakes) {
  for (const char* good : {"a", "a-b", "0"}) EXPECT_TRUE(is_dns_label(good)) << good;
  EXPECT_TRUE(is_dns_label(std::string(63, 'a')));
  EXPECT_FALSE(is_dns_label(std::string(64, 'a')));
  for (const char* bad : {"", "-a", "a-", "A", "a.b", "a_b", "a/b"}) EXPECT_FALSE(is_dns_label(bad)) << bad;
}

TEST(Text, LabelValuesAreWhatKubernetesTakes) {
  for (const char* good : {"", "a", "A.b_c-d"}) EXPECT_TRUE(is_label_value(good)) << good;
  for (const char* bad : {"-a", "a.", "a b", "ä"}) EXPECT_FALSE(is_label_value(bad)) << bad;
}

TEST(Text, IntegersAreDigitsAndNothingElse) {
  EXPECT_EQ(parse_integer("42"), 42);
  EXPECT_EQ(parse_integer("-1"), -1);
  for (const char* bad : {"", " 1", "1 ", "+1", "1.0", "0x1", "99999999999999999999"}) {
    EXPECT_EQ(parse_integer(bad), std::nullopt) << bad;
  }
}

TEST(Duration, ReadsGoNotation) {
  EXPECT_EQ(*parse_duration("100ms"), milliseconds(100));
  EXPECT_EQ(*parse_duration("1h30m"), hours(1) + minutes(30));
  EXPECT_EQ(*parse_duration("0"), milliseconds(0));
  EXPECT_EQ(*parse_duration("10000h"), hours(10000));
}

TEST(Duration, RefusesWhatIsNone) {
  for (const char* bad :
       {"", "5", "s", "-5s", "5 s", "1.5h", "5d", "99999999999h", "4294967295h", "10000h1ms", "5sx"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
}

TEST(Duration, FormatIsReadBack) {
  for (const milliseconds length :
       {milliseconds(0), milliseconds(1), milliseconds(90'000), milliseconds(3'600'123)}) {
    EXPECT_EQ(*parse_duration(format_duration(length)), length) << format_duration(length);
  }
  EXPECT_EQ(format_duration(milliseconds(90'000)), "1m30s");
}

TEST(Rfc3339, FormatsUtcWithMilliseconds) {
  const auto time = std::chrono::system_clock::from_time_t(1704067200) + milliseconds(7);
  EXPECT_EQ(format_rfc3339(time), "2024-01-01T00:00:00.007Z");
}

TEST(Rfc3339, KnowsDatesThatExist) {
  for (const char* good : {"2024-01-01T00:00:00Z", "2024-02-29t23:59:60.5+05:30", "0001-01-01T00:00:00Z"}) {
    EXPECT_TRUE(is_rfc3339(good)) << good;
  }
  for (const char* bad :
       {"", "2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:00:00",
        "2024-01-01 00:00:00Z", "2024-01-01T00:00:00.Z", "2024-1-1T00:00:00Z", "2024-01-01T00:00:00+5:30"}) {
    EXPECT_FALSE(is_rfc3339(bad)) << bad;
  }
}

TEST(Rfc3339, IsReadAsATimeOfTheCalendar) {
  const auto time = [](std::string_view text) { return parse_rfc3339(text).value().time_since_epoch(); };
  EXPECT_EQ(time("1970-01-01T00:00:00Z"), milliseconds(0));
  EXPECT_EQ(time("2024-01-01T00:00:00.007Z"), seconds(1704067200) + milliseconds(7));
  EXPECT_EQ(time("2024-01-01t01:02:03.1239999999z"), seconds(1704070923) + milliseconds(123));
  EXPECT_EQ(time("2024-01-01T05:30:00.5+05:30"), seconds(1704067200) + milliseconds(500));
  EXPECT_EQ(time("2023-12-31T22:00:00-02:00"), seconds(1704067200));
  EXPECT_EQ(time("2023-12-31T23:59:60Z"), seconds(1704067200));
  EXPECT_EQ(time("0001-01-01T00:00:00Z"), seconds(-62135596800));
  EXPECT_EQ(time("9999-12-31T23:59:59Z"), seconds(253402300799));
  EXPECT_FALSE(parse_rfc3339("2024-02-30T00:00:00Z"));
}

TEST(Hash, PartsAreKeptApart) {
  EXPECT_NE(sha256_hex({"ab", "c"}), sha256_hex({"a", "bc"}));
  EXPECT_NE(sha256_hex({"1:a"}), sha256_hex({"", "a"}));
  // printf '3:abc' | sha256sum
  EXPECT_EQ(sha256_hex({"abc"}), "aab5f9ae99b2e38fb462025c8f72f570c9c811705d2a4277dc855d7fa293fe97");
}

TEST(Base64, RoundTripsEveryByte) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  for (const std::size_t length : {0U, 1U, 2U, 3U, 255U, 256U}) {
    const std::string bytes = all.substr(0, length);
    EXPECT_EQ(from_base64(to_base64(bytes)), bytes);
  }
}

TEST(Base64, RefusesWhatIsNone) {
  for (const char* bad : {"a", "ab", "abc", "ab=c", "====", "a===", " YWJj", "YWJj\n", "YW Jj", "YWJ_"}) {
    EXPECT_EQ(from_base64(bad), std::nullopt) << bad;
  }
}

TEST(Backoff, GrowsToItsLimitWithFullJitter) {
  const Backoff backoff{milliseconds(100), milliseconds(1000)};
  const Random almost_one = [] { return 0.999; };
  EXPECT_EQ(backoff.delay(0, almost_one), milliseconds(99));
  EXPECT_EQ(backoff.delay(1, almost_one), milliseconds(199));
  EXPECT_EQ(backoff.delay(9, almost_one), milliseconds(999));
  EXPECT_EQ(backoff.delay(4'000'000'000U, almost_one), milliseconds(999));
  EXPECT_EQ(backoff.delay(3, [] { return 0.0; }), milliseconds(0));
}

TEST(TokenBucket, RefillsWithTimeUpToItsBurst) {
  TokenBucket bucket(2, 2);
  TimePoint now{};
  EXPECT_TRUE(bucket.take(now));
  EXPECT_TRUE(bucket.take(now));
  EXPECT_FALSE(bucket.take(now));
  now += milliseconds(500);
  EXPECT_TRUE(bucket.take(now));
  now += hours(1);
  EXPECT_TRUE(bucket.take(now));
  EXPECT_TRUE(bucket.take(now));
  EXPECT_FALSE(bucket.take(now));
}

TEST(TokenBucket, WhoReservesWaitsForTheOwnToken) {
  TokenBucket bucket(4, 1);
  const TimePoint now{};
  EXPECT_EQ(bucket.reserve(now), milliseconds(0));
  EXPECT_EQ(bucket.reserve(now), milliseconds(250));
  EXPECT_EQ(bucket.reserve(now), milliseconds(500));
  EXPECT_FALSE(bucket.take(now + milliseconds(500)));
  EXPECT_TRUE(bucket.take(now + milliseconds(750)));
}

TEST(TokenBucket, GivesSoManyASecond) {
  const TimePoint start{};
  for (const unsigned rate : {1U, 7U, 50U, 1000U}) {
    TokenBucket bucket = TokenBucket::evenly(rate);
    TimePoint now = start;
    unsigned taken = 0;
    while (now < start + seconds(10)) {
      if (bucket.take(now)) {
        ++taken;
      } else {
        const TimePoint next = bucket.next(now);
        ASSERT_GT(next, now);
        now = next;
        EXPECT_TRUE(now >= start + seconds(10) || bucket.take(now)) << "there is one when it says so";
        ++taken;
      }
    }
    EXPECT_GE(taken, 10 * rate);
    EXPECT_LE(taken, 10 * rate + rate / 10 + 2);
  }
}

TEST(TokenBucket, EvenlySavesNoMoreThanATenthOfASecond) {
  TokenBucket bucket = TokenBucket::evenly(100);
  TimePoint now{};
  EXPECT_TRUE(bucket.take(now));
  now += hours(1);
  EXPECT_EQ(bucket.next(now), now);
  unsigned at_once = 0;
  while (bucket.take(now)) ++at_once;
  EXPECT_EQ(at_once, 10U);
}

// A pipe whose reading end is ours.
struct Pipe {
  Pipe() { EXPECT_EQ(::pipe(ends.data()), 0); }
  ~Pipe() {
    ::close(ends[0]);
    if (!closed) ::close(ends[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  // What is there, or comes; empty at the end.
  std::string read_some() {
    std::string chunk(65536, '\0');
    const ssize_t count = ::read(ends[0], chunk.data(), chunk.size());
    chunk.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return chunk;
  }

  std::string read_all() {
    ::close(ends[1]);
    closed = true;
    std::string all;
    for (std::string chunk; !(chunk = read_some()).empty();) all += chunk;
    return all;
  }

  std::array<int, 2> ends{};
  bool closed = false;
};

TEST(Log, LinesAreJsonWithoutControlCharacters) {
  Pipe pipe;
  {
    Log log(Level::info, pipe.ends[1]);
    log.info("a\x1B[31m \x7F ä", {{"event_id", "1\n2"}, {"trace_id", ""}, {"error", std::string(5000, 'x')}});
    log.debug("not shown");
  }
  const std::string line = pipe.read_all();
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_EQ(line.find_first_of("\x1B\x7F"), std::string::npos);
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["msg"], "a\x1B[31m \x7F ä");
  EXPECT_EQ(json["event_id"], "1\n2");
  EXPECT_EQ(json["level"], "info");
  EXPECT_FALSE(json.contains("trace_id"));
  EXPECT_LE(json["error"].get<std::string>().size(), 1024U);
}

TEST(Log, AReaderThatDoesNotReadBlocksNobodyAndDropsAreTold) {
  Pipe pipe;
  Log log(Level::info, pipe.ends[1], 10);
  // Far more than a pipe holds: whoever logged would wait for ever if the log waited.
  for (int i = 0; i < 5000; ++i) log.info(std::string(1000, 'x'));
  std::string seen;
  while (seen.find("were dropped") == std::string::npos) seen += pipe.read_some();
  // A line may still find no room, until those that wait are written.
  while (seen.find("\"later\"") == std::string::npos) {
    log.info("later");
    seen += pipe.read_some();
  }
}

}  // namespace
}  // namespace lambda::base
