// The management API's answers, read. Pure. A broker's other users declare what they like: what is odd in
// their things is passed over, so that it hides nothing of ours.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"
#include "topology/topology.h"

namespace lambda::rabbitmq {

/// `unavailable` for what no broker says.
base::Result<nlohmann::json> parse_answer(std::string_view body);

struct Page {
  std::size_t page_count = 1;
  std::size_t total_count = 0;
};

/// Adds the queues of a list without statistics: what the broker knows now.
base::Result<Page> add_queues(std::string_view body, topology::Snapshot& snapshot);

/// Adds the statistics to the queues that are there.
base::Result<Page> add_figures(std::string_view body, topology::Snapshot& snapshot);

base::Result<void> add_exchanges(std::string_view body, topology::Snapshot& snapshot);
base::Result<void> add_policies(std::string_view body, std::map<std::string, topology::Policy>& policies);
base::Result<void> add_bindings(std::string_view body, topology::Snapshot& snapshot);

/// What the API calls a binding of two things: a part of its path.
struct NamedBinding {
  topology::Binding binding;
  std::string properties_key;
};
base::Result<std::vector<NamedBinding>> decode_named_bindings(std::string_view body);

/// The broker's own words out of a refusal: its `reason`, else its `error`, else nothing.
std::string reason_in(std::string_view body);

/// As the broker wants them: a number without fraction is an integer.
nlohmann::json encode(const topology::Arguments& arguments);

}  // namespace lambda::rabbitmq
