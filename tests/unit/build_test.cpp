#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "base/text.h"
#include "build/destination.h"
#include "build/identity.h"
#include "build/ids.h"

namespace lambda::build {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

TEST(JobName, IsADnsLabelMadeOfTheIdentityOnly) {
  const std::string name = job_name({"network.notifi.kaniko-jobs", "0c8a1a3e"});
  EXPECT_TRUE(base::is_dns_label(name));
  EXPECT_THAT(name, MatchesRegex("kaniko-job-[0-9a-f]{32}"));
  EXPECT_EQ(name, job_name({"network.notifi.kaniko-jobs", "0c8a1a3e"}));
}

// Another name would build every event in flight once more after an upgrade.
TEST(JobName, IsTheSameInEveryVersion) {
  EXPECT_EQ(job_name({"network.notifi.kaniko-jobs", "uuid"}), "kaniko-job-45a24e5b4e64b6376693ee8e09399e36");
}

TEST(JobName, DiffersWithEachPartOfTheIdentity) {
  const std::string name = job_name({"ab", "c"});
  EXPECT_NE(name, job_name({"a", "bc"}));
  EXPECT_NE(name, job_name({"ab", "d"}));
  EXPECT_NE(name, job_name({"ab", "c", 1}));
  EXPECT_NE(job_name({"ab", "c", 1}), job_name({"ab", "c", 2}));
}

const std::string hash_of_x = "h-553f121d1ecef2a1742c9c2c999380c9";

struct Id {
  std::string id;
  bool label;
  bool dns;
  bool path;
};

// Which ids stand for themselves; all others become a hash.
TEST(Ids, AreKeptWhereTheyFollowTheRule) {
  const std::vector<Id> all{{"0307ea43639b4616b044d190310a26bd", true, true, true},
                            {"a-b", true, true, true},
                            {"a.b_c-d", true, false, true},
                            {"a..b", true, false, false},
                            {"a--b", true, true, false},
                            {"Upper", true, false, false},
                            {"-a", false, false, false},
                            {"a-", false, false, false},
                            {"", false, false, false},
                            {"a/b", false, false, false},
                            {"../b", false, false, false},
                            {"a:b", false, false, false},
                            {"a b", false, false, false},
                            {"é", false, false, false},
                            {std::string("a\0b", 3), false, false, false},
                            {std::string(63, 'a'), true, true, true},
                            {std::string(64, 'a'), false, false, false},
                            {hash_of_x, false, false, false},
                            {"h-" + std::string(31, '0'), true, true, true},
                            {"h-" + std::string(31, '0') + "g", true, true, true}};
  for (const Id& id : all) {
    EXPECT_EQ(label_value(id.id) == id.id, id.label) << id.id;
    EXPECT_EQ(dns_label(id.id) == id.id, id.dns) << id.id;
    EXPECT_EQ(path_component(id.id) == id.id, id.path) << id.id;
    for (const std::string& text : {label_value(id.id), dns_label(id.id), path_component(id.id)}) {
      EXPECT_LE(text.size(), id_text_max_bytes);
      if (text != id.id) EXPECT_THAT(text, MatchesRegex("h-[0-9a-f]{32}"));
    }
  }
}

TEST(Ids, ThatLookLikeTheHashOfAnotherAreHashedToo) {
  const std::string victim = label_value("Some Tenant");
  EXPECT_NE(label_value(victim), victim);
}

// Templates, and what is said of them; nothing where they are accepted.
TEST(Destination, IsChecked) {
  const std::string long_path = "registry.local/" + std::string(150, 'a') + "/{third_party_id}/{parser_id}";
  const std::vector<std::pair<std::string, std::string>> all{
      {"registry.local/{third_party_id}/{parser_id}:{event_hash}", ""},
      {"localhost/{third_party_id}", ""},
      {"10.0.0.1:5000/{third_party_id}/{parser_id}", ""},
      {"registry:5000/builds/{third_party_id}:latest", ""},
      {"ghcr.io/acme/builds:{event_hash}", ""},
      {"ghcr.io/acme/{third_party_id}-{parser_id}:{event_hash}", ""},
      {"ghcr.io/acme/{third_party_id}:{parser_id}-{event_hash}", ""},
      {"", "a registry"},
      {"registry.local", "a registry"},
      {"builds/{third_party_id}", "a registry"},
      {"{third_party_id}/{parser_id}", "a registry"},
      {"{third_party_id}.local/x:{event_hash}", "a registry"},
      {"https://registry.local/{third_party_id}", "a registry"},
      {"registry.local:0/{third_party_id}", "a registry"},
      {"registry.local:99999/{third_party_id}", "a registry"},
      {"registry.local/{third_party_id}/{tenant}", "unknown placeholder at \"{tenant}\""},
      {"registry.local/{third_party_id", "unknown placeholder"},
      {"registry.local/", "push over each other"},
      {"registry.local/{parser_id}", "push over each other"},
      {"registry.local/{third_party_id}-{parser_id}", "push over each other"},
      {"registry.local/all:{third_party_id}", "push over each other"},
      {"registry.local//{third_party_id}", "path"},
      {"registry.local/{third_party_id}/", "path"},
      {"registry.local/Builds/{third_party_id}", "path"},
      {"registry.local/a..b/{third_party_id}", "path"},
      {"registry.local/{third_party_id}/x@sha256:abc", "path"},
      {"registry.local/{third_party_id}:", "tag"},
      {"registry.local/{third_party_id}:a:b", "tag"},
      {"registry.local/{third_party_id}:-a", "tag"},
      {"registry.local/{third_party_id}:{third_party_id}-{parser_id}x", ""},
      {"registry.local/{third_party_id}:{third_party_id}-{parser_id}-x", "tag"},
      {long_path, "bytes; accepted: 255"}};
  for (const auto& [text, message] : all) {
    const auto checked = check_destination(text);
    EXPECT_EQ(checked.has_value(), message.empty())
        << text << (checked ? "" : ": " + checked.error().message);
    if (!checked) EXPECT_THAT(checked.error().message, HasSubstr(message)) << text;
  }
}

TEST(Destination, TakesIdsAsSingleComponents) {
  const std::string text = "registry.local/{third_party_id}/{parser_id}:{event_hash}";
  EXPECT_EQ(make_destination(text, "tenant", "parser", "0f"), "registry.local/tenant/parser:0f");
  EXPECT_THAT(make_destination(text, "../other", "UPPER:tag", "0f"),
              MatchesRegex("registry.local/h-[0-9a-f]{32}/h-[0-9a-f]{32}:0f"));
  EXPECT_THAT(make_destination(text, "{parser_id}", "x", "0f"),
              MatchesRegex("registry.local/h-[0-9a-f]{32}/x:0f"));
}

TEST(SecretName, TakesTheTenantAsADnsLabel) {
  EXPECT_EQ(make_secret_name("push", "tenant"), "push");
  EXPECT_EQ(make_secret_name("push-{third_party_id}", "tenant"), "push-tenant");
  EXPECT_THAT(make_secret_name("push-{third_party_id}", "a.b"), MatchesRegex("push-h-[0-9a-f]{32}"));
}

TEST(CacheRepository, IsOfOneTenant) {
  for (const std::string_view good :
       {"registry.local/{third_party_id}/cache", "registry.local/cache/{third_party_id}",
        "localhost:5000/{third_party_id}", "registry.local/{third_party_id}/{parser_id}/cache"}) {
    EXPECT_TRUE(check_cache_repository(good)) << good;
  }
  for (const std::string_view bad :
       {"", "registry.local/cache", "registry.local/cache-{third_party_id}", "registry.local/{parser_id}",
        "registry.local/{third_party_id}/cache:latest", "registry.local/{third_party_id}:{parser_id}",
        "registry.local/{third_party_id}/{event_hash}", "{third_party_id}/cache",
        "registry.local/{third_party_id}/Cache", "registry.local/{third_party_id}/{tenant}"}) {
    EXPECT_FALSE(check_cache_repository(bad)) << bad;
  }
  EXPECT_EQ(make_cache_repository("r.local/{third_party_id}/{parser_id}", "tenant", "p"), "r.local/tenant/p");
}

TEST(QueueName, FitsALabelForEveryTenant) {
  for (const std::string_view good : {"builds", "{third_party_id}", "queue-of-{third_party_id}"}) {
    EXPECT_TRUE(check_queue_name(good)) << good;
    for (const std::string& id : {std::string("a"), std::string(63, 'a'), std::string(256, 'A')}) {
      EXPECT_TRUE(base::is_dns_label(make_queue_name(good, id))) << good << " of " << id;
    }
  }
  for (const std::string_view bad : {"", "Builds", "a b", "a.b", "-{third_party_id}", "{parser_id}",
                                     "queue-{third_party_id}-of-all-the-builds-in-here"}) {
    EXPECT_FALSE(check_queue_name(bad)) << bad;
  }
  EXPECT_EQ(make_queue_name("q-{third_party_id}", "tenant"), "q-tenant");
  EXPECT_NE(make_queue_name("q-{third_party_id}", std::string(63, 'a')),
            make_queue_name("q-{third_party_id}", std::string(62, 'a') + "b"));
}

}  // namespace
}  // namespace lambda::build
