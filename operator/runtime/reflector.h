// Keeps up with all objects of a kind: list, then watch, and again from where the watch broke.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "api/object.h"
#include "base/backoff.h"
#include "base/log.h"
#include "base/time.h"
#include "kube/object_request.h"
#include "kube/resource.h"
#include "kube/rest_client.h"
#include "metrics/registry.h"

namespace lambda::runtime {

/// Where the objects go; called on the reflector's thread only. Between begin_list() and end_list() comes
/// every object that there is: what was not named is gone. A list that breaks off is followed by another
/// begin_list().
class ObjectSink {
 public:
  ObjectSink() = default;
  ObjectSink(const ObjectSink&) = delete;
  ObjectSink& operator=(const ObjectSink&) = delete;
  virtual ~ObjectSink() = default;

  virtual void begin_list() = 0;
  virtual void upsert(api::ObjectKey key, std::string resource_version, nlohmann::json&& object) = 0;
  virtual void erase(const api::ObjectKey& key) = 0;
  virtual void end_list() = 0;
};

struct ReflectorSettings {
  kube::Resource resource;
  kube::Selection selection{};
  unsigned page_limit = 500;  // objects that one answer of a list holds
  base::milliseconds list_timeout{30'000};
  base::milliseconds watch_least{300'000};  // a watch is ended by the API server after least … twice that
  base::milliseconds watch_idle{180'000};  // and begun anew when nothing came for so long, no bookmark either
  base::Backoff backoff{base::milliseconds(1'000), base::milliseconds(30'000)};
};

/// Has a thread of its own from its construction to its end. Errors are logged and tried again for ever: with
/// backoff, and at an API server that is away with one request per watch and backoff at most.
///
/// Metrics: operator_lists_total{kind}, operator_watches_total{kind}, operator_watch_failures_total{kind},
/// operator_synced{kind}.
class Reflector {
 public:
  /// `sink`, `registry` and `log` outlive it.
  Reflector(ReflectorSettings settings, std::shared_ptr<kube::RestClient> client, ObjectSink& sink,
            metrics::Registry& registry, base::Log& log, base::Random random = base::system_random());
  ~Reflector();
  Reflector(const Reflector&) = delete;
  Reflector& operator=(const Reflector&) = delete;

  /// The sink has had a whole list. A kind that the API server does not know has an empty one.
  bool synced() const;

  /// Why the last list or watch failed; nothing while all goes well. not_found: the kind is not installed.
  std::optional<base::Error> trouble() const;

  /// Waits for it; false when `stop` was requested first.
  bool wait_until_synced(const std::stop_token& stop) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lambda::runtime
