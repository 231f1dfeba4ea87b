// What was given to a publisher and has not ended yet. For this folder's .cpp files only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "amqp/publisher.h"

namespace lambda::amqp {

struct Publication {
  std::string exchange;
  std::string routing_key;
  Message message;
  base::TimePoint deadline;
  Publisher::Done done;  // empty once it has ended; the ledger's

  // The publishing thread's own.
  unsigned sends = 0;
  std::optional<std::string> returned;  // why it was returned; its confirm is still to come

  // The ledger's own.
  std::size_t bytes = 0;
  std::optional<Confirmation> verdict;  // decided when it came; told at once
};
using PublicationPtr = std::shared_ptr<Publication>;

/// Bounded, with a deadline for each. Thread-safe. Each publication's `done` is called once, by whoever ends
/// it first, with no lock held.
class Ledger {
 public:
  Ledger(std::size_t max_messages, std::size_t max_bytes)
      : max_messages_(max_messages), max_bytes_(max_bytes) {}

  struct Admission {
    bool first = false;       // until now nothing waited to be sent
    base::TimePoint expires;  // when expire() has something to do for it
  };
  Admission admit(PublicationPtr publication);

  /// The next one to send, or none. It stays in the ledger until it has ended.
  PublicationPtr take();
  /// Those that have not ended are to be sent (again), in this order, before all others.
  void put_back(const std::vector<PublicationPtr>& publications);

  void end(const PublicationPtr& publication, Confirmation confirmation);

  /// Ends those whose deadline has passed; returns the next deadline.
  base::TimePoint expire(base::TimePoint now);

  /// Why nothing is being sent at present; empty: it is. What a late publication is told.
  void set_trouble(std::string trouble);

  /// Ends them all, and whatever comes later.
  void close();

  std::size_t size() const;

 private:
  using ByDeadline = std::multimap<base::TimePoint, PublicationPtr>;

  std::optional<Confirmation> refusal(const Publication& publication) const;
  Publisher::Done remove(ByDeadline::iterator place);
  Confirmation late(const Publication& publication) const;

  const std::size_t max_messages_;
  const std::size_t max_bytes_;
  mutable std::mutex mutex_;
  std::deque<PublicationPtr> waiting_;
  ByDeadline by_deadline_;
  std::size_t messages_ = 0;  // without those that have a verdict
  std::size_t bytes_ = 0;
  std::string trouble_;
  bool closed_ = false;
};

}  // namespace lambda::amqp
