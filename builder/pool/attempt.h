// One try to create one Job: a single write, and a look at the existing Job only after a 409.
#pragma once

#include <string>

#include <boost/asio/awaitable.hpp>

#include "base/error.h"
#include "base/time.h"
#include "job/job.h"
#include "kube/connection.h"

namespace lambda::pool {

/// A Job to create, and the event that it is made from.
struct Creation {
  job::Job job;
  std::string event_source;
  std::string event_id;
  std::string tenant;
  std::string correlation_id;
  std::string trace_id;
  int priority = 1;
  bool bounded = true;  // whether the bound for each tenant counts (asyncJobCreator.maxQueuePerTenant)
  base::TimePoint deadline;
};

enum class Found {
  created,
  exists,  // made from the same event
};

/// Sends the create. On 409 AlreadyExists the existing Job is asked for its event: the same one is `exists`,
/// another one a conflict; one that is just being deleted is unavailable; one that has gone meanwhile is
/// created again, once. `may_be_ours` says that an earlier try of this same creation may have reached the API
/// server, and is set when this one may have: then a 409 is no duplicate but our own doing, and counts as
/// created.
boost::asio::awaitable<base::Result<Found>> try_create(kube::Connection& connection, const Creation& creation,
                                                       base::TimePoint deadline, bool& may_be_ours);

}  // namespace lambda::pool
