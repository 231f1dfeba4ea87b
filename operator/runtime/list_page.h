// One page of a list, read object by object. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"

namespace lambda::runtime {

struct ListPageEnd {
  std::string resource_version;  // of the whole list
  std::string continue_token;    // empty: it was the last page
};

/// Hands each of the items over as soon as it is read, so that never more than one is held. `unavailable` for
/// what is no list (a proxy's page, say); some items may have been handed over by then.
base::Result<ListPageEnd> read_list_page(std::string_view body,
                                         const std::function<void(nlohmann::json&&)>& on_item);

}  // namespace lambda::runtime
