// Requests for objects of any kind, as plain values. Names and namespaces that are no segment of a path are
// refused as `invalid`: an empty name would turn a get into a list.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"
#include "base/time.h"
#include "kube/request.h"
#include "kube/resource.h"

namespace lambda::kube {

/// Which objects; an empty namespace means all of them, or that the kind has none.
struct Selection {
  std::string namespace_name{};
  std::string label_selector{};  // "app=x,tier!=y"
  std::string field_selector{};  // "metadata.name=x"

  bool operator==(const Selection&) const = default;
};

struct ListPage {
  unsigned limit = 0;              // objects in one answer; 0: all
  std::string continue_token{};    // metadata.continue of the page before
  std::string resource_version{};  // empty: as it is now; "0": whatever the API server has in its cache
};

struct WatchFrom {
  std::string resource_version{};  // of the list, or of the last event
  base::milliseconds timeout{};    // after which the API server ends it, in whole seconds; 0: when it likes
  bool bookmarks = true;           // tell now and then how far it is
};

struct ApplyOptions {
  std::string field_manager{};
  bool force = true;    // take over fields that another manager has set
  bool status = false;  // of /status
  bool dry_run = false;
};

enum class PatchKind { json, merge };  // RFC 6902, RFC 7386

struct PatchOptions {
  std::string field_manager{};
  bool status = false;
};

struct DeleteOptions {
  std::string uid{};               // only this very one; empty: whichever
  std::string resource_version{};  // only in this state
  std::string propagation{};       // Background, Foreground, Orphan; empty: as the kind has it
};

base::Result<Request> get_object(const Resource& resource, std::string_view namespace_name,
                                 std::string_view name);
base::Result<Request> list_objects(const Resource& resource, const Selection& selection,
                                   const ListPage& page = {});
/// The last lines of a container's log, as plain text.
base::Result<Request> read_log(std::string_view namespace_name, std::string_view pod,
                               std::string_view container, unsigned tail_lines);
base::Result<Request> watch_objects(const Resource& resource, const Selection& selection,
                                    const WatchFrom& from);

// An object says by its apiVersion, kind and metadata where it belongs.

base::Result<Request> create_object(const nlohmann::json& object, std::string_view field_manager = {});

/// Replaces the whole, if metadata.resourceVersion is still that of the object (409 Conflict otherwise).
base::Result<Request> update_object(const nlohmann::json& object, std::string_view field_manager = {});

/// Server-side apply: creates it, or sets exactly the fields that `object` has. With a
/// metadata.resourceVersion or a metadata.uid only on that one (409 Conflict otherwise).
base::Result<Request> apply_object(const nlohmann::json& object, const ApplyOptions& options);

base::Result<Request> patch_object(const Resource& resource, std::string_view namespace_name,
                                   std::string_view name, PatchKind kind, const nlohmann::json& patch,
                                   const PatchOptions& options = {});
base::Result<Request> delete_object(const Resource& resource, std::string_view namespace_name,
                                    std::string_view name, const DeleteOptions& options = {});

/// A merge patch that sets the finalizers, if the object is still in this state.
nlohmann::json finalizers_patch(const nlohmann::json& finalizers, std::string_view resource_version);

}  // namespace lambda::kube
