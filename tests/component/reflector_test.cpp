// What a reflector promises, over an imposter for what breaks, and over the real API server (KUBECONFIG) for
// what works.
#include "runtime/reflector.h"

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "kube/api.h"
#include "runtime/object_store.h"
#include "support/imposter.h"
#include "support/kubernetes.h"
#include "support/run.h"
#include "support/tcp_proxy.h"

namespace lambda::runtime {
namespace {

using api::ObjectKey;
using base::milliseconds;
using nlohmann::json;
using support::Imposter;
using support::status_answer;
using support::Wire;
using testing::ElementsAre;
using testing::HasSubstr;
using Values = std::map<std::string, std::string>;

// The objects by name, each with its label "v", as the handler was told of them.
class Seen {
 public:
  std::shared_ptr<ObjectStore<std::string>> store() {
    return std::make_shared<ObjectStore<std::string>>(
        [](json&& object) -> std::optional<std::string> {
          return object["metadata"].value("/labels/v"_json_pointer, "");
        },
        [this](const ObjectKey& key, const auto& /*before*/, const auto& after) {
          const std::lock_guard lock(mutex_);
          if (after) {
            values_[key.name] = *after;
          } else {
            values_.erase(key.name);
          }
          changed_.notify_all();
        });
  }

  /// Waits until they are so, and says what they are.
  Values become(const Values& wanted) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, support::patience, [&] { return values_ == wanted; });
    return values_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Values values_;
};

// ---------------------------------------------------------------------------------------------------------------------

json object(const std::string& name, const std::string& version, const std::string& value) {
  return {{"metadata",
           {{"namespace", "n"}, {"name", name}, {"resourceVersion", version}, {"labels", {{"v", value}}}}}};
}

std::string event(const char* type, const json& of) {
  return json{{"type", type}, {"object", of}}.dump() + "\n";
}

std::string bookmark(const char* version) {
  return event("BOOKMARK", {{"metadata", {{"resourceVersion", version}}}});
}

http::Response list(const std::string& version, const std::vector<json>& items,
                    const std::string& more = "") {
  return {200,
          "application/json",
          json{{"kind", "LeaseList"},
               {"metadata", {{"resourceVersion", version}, {"continue", more}}},
               {"items", items}}
              .dump(),
          {}};
}

bool is_watch(const http::Request& request) {
  return request.query.find("watch=true") != std::string::npos;
}

// An API server with a script: lists and watches in the order in which they are asked for, the last again and
// again.
class AReflector : public testing::Test {
 protected:
  using Watch = std::function<void(Wire&)>;

  void start(std::vector<http::Response> lists, std::vector<Watch> watches) {
    imposter_ = std::make_unique<Imposter>(
        [watches = std::move(watches), next = std::size_t(0), this](const http::Request& request,
                                                                    Wire& wire) mutable {
          if (!is_watch(request)) return false;
          const Watch watch = [&] {
            const std::lock_guard lock(mutex_);
            return watches[std::min(next++, watches.size() - 1)];
          }();
          watch(wire);
          return true;
        },
        [script = support::in_order({lists.begin(), lists.end()})](const http::Request& request) {
          return script(request);
        });
    run(std::make_shared<kube::RestClient>(imposter_->cluster()));
  }

  void run(std::shared_ptr<kube::RestClient> client) {
    settings_.backoff = {milliseconds(1), milliseconds(50)};
    reflector_ = std::make_unique<Reflector>(settings_, std::move(client), *store_, registry_, log_);
  }

  static void stay_silent(Wire& wire) {
    wire.begin();
    wire.wait_for_the_end();
  }

  // The resource versions that watches began from.
  std::vector<std::string> watched_from() const {
    std::vector<std::string> versions;
    for (const std::string& request : imposter_->requests()) {
      const std::size_t at = request.find("resourceVersion=");
      if (request.find("watch=true") == std::string::npos || at == std::string::npos) continue;
      const std::size_t begin = at + std::string_view("resourceVersion=").size();
      versions.push_back(request.substr(begin, request.find('&', begin) - begin));
    }
    return versions;
  }

  std::vector<std::string> lists() const {
    std::vector<std::string> out;
    for (const std::string& request : imposter_->requests()) {
      if (request.find("watch=true") == std::string::npos) out.push_back(request);
    }
    return out;
  }

  std::mutex mutex_;
  ReflectorSettings settings_{.resource = kube::resources::lease, .selection = {.namespace_name = "n"}};
  metrics::Registry registry_;
  base::Log log_{base::Level::error};
  Seen seen_;
  std::shared_ptr<ObjectStore<std::string>> store_ = seen_.store();
  std::unique_ptr<Imposter> imposter_;
  std::unique_ptr<Reflector> reflector_;
};

TEST_F(AReflector, ListsByPagesThenWatchesFromTheList) {
  settings_.page_limit = 2;
  settings_.selection.label_selector = "a=b";
  start({list("10", {object("a", "1", "x"), object("b", "2", "y")}, "next"),
         list("10", {object("c", "3", "z")})},
        {[](Wire& wire) {
          wire.begin();
          wire.chunk(event("MODIFIED", object("a", "11", "new")) + event("DELETED", object("b", "12", "y")));
          wire.chunk(event("ADDED", object("d", "13", "w")));
          wire.wait_for_the_end();
        }});
  const Values wanted{{"a", "new"}, {"c", "z"}, {"d", "w"}};
  EXPECT_EQ(seen_.become(wanted), wanted);
  EXPECT_TRUE(reflector_->synced());
  EXPECT_FALSE(reflector_->trouble());
  EXPECT_THAT(
      imposter_->requests(),
      ElementsAre(testing::AllOf(testing::EndsWith("/namespaces/n/leases?labelSelector=a%3Db&limit=2")),
                  testing::EndsWith("?labelSelector=a%3Db&limit=2&continue=next"),
                  testing::AllOf(HasSubstr("labelSelector=a%3Db"), HasSubstr("allowWatchBookmarks=true"),
                                 HasSubstr("resourceVersion=10"), HasSubstr("timeoutSeconds="))));
}

TEST_F(AReflector, ListsAnewWhenItsVersionExpiresInTheMiddleOfAWatch) {
  start({list("10", {object("a", "1", "x"), object("b", "2", "y")}),
         list("20", {object("a", "1", "x"), object("c", "15", "z")})},
        {[](Wire& wire) {
           wire.begin();
           wire.chunk(event("MODIFIED", object("b", "11", "changed")));
           wire.chunk(event("ERROR", {{"kind", "Status"}, {"code", 410}, {"reason", "Expired"}}));
           wire.wait_for_the_end();
         },
         &stay_silent});
  const Values wanted{{"a", "x"}, {"c", "z"}};  // b has gone in between
  EXPECT_EQ(seen_.become(wanted), wanted);
}

TEST_F(AReflector, ListsAnewWhenAWatchIsRefusedAsExpired) {
  start({list("10", {object("a", "1", "x")}), list("20", {object("a", "15", "y")})},
        {[](Wire& wire) {
           wire.begin(410);
           wire.chunk(R"({"kind":"Status","code":410})");
           wire.end();
         },
         &stay_silent});
  const Values wanted{{"a", "y"}};
  EXPECT_EQ(seen_.become(wanted), wanted);
}

TEST_F(AReflector, ResumesAWatchThatWasCutInTheMiddleOfALine) {
  start({list("10", {})}, {[](Wire& wire) {
                             wire.begin();
                             wire.chunk(event("ADDED", object("a", "11", "x")));
                             wire.chunk(event("ADDED", object("b", "12", "y")).substr(0, 50));
                           },
                           [](Wire& wire) {
                             wire.begin();
                             wire.chunk(event("ADDED", object("b", "12", "y")));
                             wire.wait_for_the_end();
                           }});
  const Values wanted{{"a", "x"}, {"b", "y"}};
  EXPECT_EQ(seen_.become(wanted), wanted);
  EXPECT_THAT(watched_from(), ElementsAre("10", "11"));
  EXPECT_EQ(lists().size(), 1U);
}

TEST_F(AReflector, ABookmarkIsWhereTheNextWatchBegins) {
  start({list("10", {})}, {[](Wire& wire) {
                             wire.begin();
                             wire.chunk(bookmark("500"));
                             wire.end();
                           },
                           [](Wire& wire) {
                             wire.begin();
                             wire.chunk(event("ADDED", object("a", "501", "x")));
                             wire.wait_for_the_end();
                           }});
  const Values wanted{{"a", "x"}};
  EXPECT_EQ(seen_.become(wanted), wanted);
  EXPECT_THAT(watched_from(), ElementsAre("10", "500"));
}

TEST_F(AReflector, ASilentWatchIsBegunAnew) {
  settings_.watch_idle = milliseconds(20);
  start({list("10", {})}, {&stay_silent, &stay_silent, [](Wire& wire) {
                             wire.begin();
                             wire.chunk(event("ADDED", object("a", "11", "x")));
                             wire.wait_for_the_end();
                           }});
  const Values wanted{{"a", "x"}};
  EXPECT_EQ(seen_.become(wanted), wanted);
  EXPECT_EQ(lists().size(), 1U);
}

TEST_F(AReflector, TriesAgainWhenTheApiServerIsBusyOrTalksNonsense) {
  start({status_answer(429, "TooManyRequests", {{"Retry-After", "0"}}),
         {200, "text/html", "<html>", {}},
         status_answer(500, "InternalError"),
         list("10", {object("a", "1", "x")})},
        {[](Wire& wire) {
           wire.begin();
           wire.chunk("<html>\n");
           wire.wait_for_the_end();
         },
         [](Wire& wire) {
           wire.begin(429);
           wire.end();
         },
         [](Wire& wire) {
           wire.begin();
           wire.chunk(event("ADDED", object("b", "11", "y")));
           wire.wait_for_the_end();
         }});
  const Values wanted{{"a", "x"}, {"b", "y"}};
  EXPECT_EQ(seen_.become(wanted), wanted);
  EXPECT_TRUE(support::eventually([&] { return !reflector_->trouble(); }));
}

TEST_F(AReflector, BeginsAgainWhenAPageHasExpired) {
  start({list("10", {object("a", "1", "x")}, "next"), status_answer(410, "Expired"),
         list("20", {object("b", "2", "y")})},
        {&stay_silent});
  const Values wanted{{"b", "y"}};
  EXPECT_EQ(seen_.become(wanted), wanted);
}

TEST_F(AReflector, AKindThatIsNotInstalledHasNoObjectsAndIsTold) {
  start({status_answer(404, "NotFound")}, {&stay_silent});
  EXPECT_TRUE(reflector_->wait_until_synced({}));
  ASSERT_TRUE(reflector_->trouble());
  EXPECT_EQ(reflector_->trouble()->kind, base::ErrorKind::not_found);
}

TEST_F(AReflector, WithoutTheRightItIsNotSyncedAndSaysWhy) {
  start({status_answer(403, "Forbidden")}, {&stay_silent});
  ASSERT_TRUE(support::eventually([&] { return reflector_->trouble().has_value(); }));
  EXPECT_EQ(reflector_->trouble()->kind, base::ErrorKind::forbidden);
  EXPECT_FALSE(reflector_->synced());
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(reflector_->wait_until_synced(stop.get_token()));
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LAMBDA_SANITIZED
#endif
#endif

std::size_t peak_memory_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::size_t kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib * 1024;
  }
  return 0;
}

// Pages are made when they are asked for, so that the imposter holds one of them as well.
TEST_F(AReflector, TenThousandObjectsTakeTheMemoryOfAPage) {
  constexpr int pages = 20;
  constexpr int page_objects = 500;
  constexpr std::size_t object_bytes = 8192;
  int page = 0;
  imposter_ = std::make_unique<Imposter>(
      [](const http::Request& request, Wire& wire) {
        if (is_watch(request)) stay_silent(wire);
        return is_watch(request);
      },
      [&page](const http::Request&) {
        std::vector<json> items;
        for (int i = 0; i < page_objects; ++i) {
          items.push_back(object("o" + std::to_string(page * page_objects + i), "1", "x"));
          items.back()["spec"]["ballast"] = std::string(object_bytes, 'x');
        }
        ++page;
        return list("10", items, page < pages ? "next" : "");
      });
  const std::size_t before = peak_memory_bytes();
  run(std::make_shared<kube::RestClient>(imposter_->cluster()));
  ASSERT_TRUE(reflector_->wait_until_synced({}));
  EXPECT_EQ(store_->size(), std::size_t(pages) * page_objects);
  EXPECT_EQ(lists().size(), std::size_t(pages));
  const std::size_t all_bytes = std::size_t{pages} * page_objects * object_bytes;
  const std::size_t grown = peak_memory_bytes() - before;
  std::printf("%d objects of %zu bytes: %zu MB in all, %zu MB more memory at the peak\n",
              pages * page_objects, object_bytes, all_bytes >> 20U, grown >> 20U);
#ifndef LAMBDA_SANITIZED  // they keep what was freed
  EXPECT_LT(grown, all_bytes / 2);
#endif
}

// ---------------------------------------------------------------------------------------------------------------------

class AReflectorOfTheRealApi : public AReflector {
 protected:
  AReflectorOfTheRealApi() { settings_.selection.namespace_name = space_.name(); }

  void put(const std::string& name, const std::string& value) {
    const auto answer =
        api_.apply({{"apiVersion", "coordination.k8s.io/v1"},
                    {"kind", "Lease"},
                    {"metadata", {{"namespace", space_.name()}, {"name", name}, {"labels", {{"v", value}}}}}},
                   {.field_manager = "tester"});
    ASSERT_TRUE(answer) << answer.error().message;
  }
  void remove(const std::string& name) {
    ASSERT_TRUE(api_.remove(kube::resources::lease, space_.name(), name));
  }

  support::KubernetesNamespace space_;
  kube::Api api_{space_.client(), support::patience};
};

TEST_F(AReflectorOfTheRealApi, SeesWhatIsThereAndEachChange) {
  settings_.page_limit = 2;
  for (const char* const name : {"a", "b", "c", "d", "e"}) put(name, "1");
  run(space_.client());
  ASSERT_TRUE(reflector_->wait_until_synced({}));
  put("a", "2");
  remove("b");
  put("f", "1");
  const Values wanted{{"a", "2"}, {"c", "1"}, {"d", "1"}, {"e", "1"}, {"f", "1"}};
  EXPECT_EQ(seen_.become(wanted), wanted);
}

TEST_F(AReflectorOfTheRealApi, GetsEverythingThroughCutsAndAnAbsence) {
  kube::Cluster cluster = support::real_cluster();
  support::TcpProxy proxy(cluster.host, cluster.port);
  cluster.tls_server_name = cluster.server_name();
  cluster.host = "127.0.0.1";
  cluster.port = proxy.port();
  run(std::make_shared<kube::RestClient>(cluster));
  ASSERT_TRUE(reflector_->wait_until_synced({}));
  Values wanted;
  for (int i = 0; i < 30; ++i) {
    if (i % 5 == 1) proxy.cut();
    if (i == 10) proxy.refuse(true);
    const std::string name = "o" + std::to_string(i % 7);
    if (i % 4 == 3 && wanted.erase(name) > 0) {
      remove(name);
    } else {
      put(name, std::to_string(i));
      wanted[name] = std::to_string(i);
    }
    if (i == 20) proxy.refuse(false);
  }
  EXPECT_EQ(seen_.become(wanted), wanted);
}

}  // namespace
}  // namespace lambda::runtime
