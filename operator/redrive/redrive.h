// Moves dead events back: from a dead-letter queue, in its order, to where they are to be tried again.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "amqp/settings.h"
#include "base/backoff.h"
#include "base/error.h"
#include "base/log.h"
#include "base/time.h"
#include "base/write_guard.h"
#include "redrive/letter.h"
#include "redrive/tally.h"

namespace lambda::redrive {

struct Plan {
  amqp::ConnectionSettings connection;
  std::string queue;  // the dead-letter queue
  /// Of that queue, where it has one: it is refused then, see run().
  std::optional<std::uint64_t> delivery_limit;
  std::string exchange;     // where to; empty: `routing_key` is a queue's name
  std::string routing_key;  //
  Filter filter;
  std::optional<std::uint64_t> limit;  // letters to move
  std::optional<std::uint64_t> rate;   // letters a second
  bool dry_run = false;                // looks at the letters and counts; `limit` then counts the matched
  base::WriteGuard may_write;          // asked before each letter; its error stops the redrive
  /// Where an earlier run of the same redrive ended; none: it is the first.
  std::optional<Checkpoint> checkpoint;
  /// How long it goes on trying while nothing can be moved because a broker is away or a queue is full.
  base::milliseconds patience{120'000};
  base::Backoff retry{base::milliseconds(500), base::milliseconds(10'000)};
};

struct Progress {
  Counts counts;
  std::optional<Checkpoint> checkpoint;  // none as long as the queue was not seen
  std::string trouble;                   // why it does not get on at present, for a person; empty: it does
};

enum class Ending {
  completed,  // every letter of the beginning was looked at, and all that matched are moved
  limited,    // as many were moved as were asked for
  stopped,    // by its owner
  failed,     // see `error`
};
std::string_view to_string(Ending ending);

struct Outcome {
  Ending ending = Ending::failed;
  /// Of failed: not_found (a queue or exchange is missing), conflict (the queue has a delivery limit),
  /// unauthenticated, forbidden, invalid; unavailable if the patience has run out: the same plan with this
  /// checkpoint goes on. Its field is "spec.target" where that is at fault, and empty otherwise.
  base::Error error;
  Counts counts;
  std::optional<Checkpoint> checkpoint;
};

/// Called on the caller's thread: before the first letter is moved, then every second or every 500 letters.
/// It may block for some seconds. False: stop.
using OnProgress = std::function<bool(const Progress&)>;

/// Publishes each letter's event with publisher confirm, persistent and mandatory, and acknowledges the
/// letter only after that: nothing is lost, whoever is killed. A crash leaves letters in the queue whose
/// event is in the target already; they are moved again, with the same identity, so it is still one Job.
///
/// It ends at the letters that came after the redrive's beginning: the first pass over the queue reads as
/// many letters as were ready then. A pass after a lost connection or a restart can't know exactly how many
/// of them are left, so it reads that many again at most, and leaves those that died after the beginning;
/// what does not say when it died is taken for an old one.
///
/// Letters that stay are in their order (see amqp::Reader for the one exception, a second crash on a quorum
/// queue). Each pass delivers them once more: on a queue with a delivery limit they would be dropped at last.
/// Two runs on one queue at once share its letters: nothing is lost, but neither sees them all.
///
/// Blocks until it has ended, a few seconds after a stop at most. `log` must outlive it.
Outcome run(const Plan& plan, const OnProgress& on_progress, const std::stop_token& stop, base::Log& log,
            base::Random random = base::system_random());

}  // namespace lambda::redrive
