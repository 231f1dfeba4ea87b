#include "kube/object_request.h"

#include <array>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace lambda::kube {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;

constexpr const char* apply_type = "application/apply-patch+yaml";  // which JSON is, too
constexpr const char* merge_patch_type = "application/merge-patch+json";
constexpr const char* json_patch_type = "application/json-patch+json";

std::string percent_encode(std::string_view text) {
  constexpr std::string_view unreserved =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (unreserved.find(c) != std::string_view::npos) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', digits[byte >> 4U], digits[byte & 15U]};
    }
  }
  return out;
}

class Query {
 public:
  void add(std::string_view key, std::string_view value) {
    if (value.empty()) return;
    text_.append(text_.empty() ? "?" : "&").append(key).append("=").append(percent_encode(value));
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

Result<std::string> segment(std::string_view name, const char* what) {
  if (name.empty() || name == "." || name == ".." || name.find_first_of("/%") != std::string_view::npos ||
      base::has_control_character(name))
    return fail(ErrorKind::invalid, base::quote(name) + " is no name of " + what);
  return percent_encode(name);
}

std::string root(const Resource& resource) {
  const bool core = resource.api_version.find('/') == std::string_view::npos;
  return (core ? "/api/" : "/apis/") + std::string(resource.api_version);
}

// Of all objects of a kind, or of those in one namespace.
Result<std::string> collection_path(const Resource& resource, std::string_view namespace_name) {
  const std::string plural = "/" + std::string(resource.plural);
  if (!resource.namespaced || namespace_name.empty()) return root(resource) + plural;
  return segment(namespace_name, "a namespace").map([&](const std::string& in) {
    return root(resource) + "/namespaces/" + in + plural;
  });
}

Result<std::string> object_path(const Resource& resource, std::string_view namespace_name,
                                std::string_view name) {
  if (resource.namespaced && namespace_name.empty())
    return fail(ErrorKind::invalid, "a " + std::string(resource.kind) + " without a namespace");
  const auto last = segment(name, "an object");
  if (!last) return tl::unexpected(last.error());
  return collection_path(resource, namespace_name).map([&](const std::string& path) {
    return path + "/" + *last;
  });
}

std::string metadata_text(const nlohmann::json& object, const char* key) {
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || !metadata->is_object()) return {};
  const auto found = metadata->find(key);
  return found != metadata->end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string write_out(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

struct Place {
  Resource resource;
  std::string namespace_name;
  std::string name;
};

Result<Place> place_of(const nlohmann::json& object) {
  return resource_of(object).map([&](const Resource& resource) {
    return Place{resource, metadata_text(object, "namespace"), metadata_text(object, "name")};
  });
}

Result<std::string> path_of(const nlohmann::json& object) {
  return place_of(object).and_then(
      [](const Place& place) { return object_path(place.resource, place.namespace_name, place.name); });
}

std::string with_status(std::string path, bool status) {
  return status ? std::move(path) + "/status" : std::move(path);
}

}  // namespace

Result<Request> get_object(const Resource& resource, std::string_view namespace_name, std::string_view name) {
  return object_path(resource, namespace_name, name).map([](std::string path) {
    return Request{.target = std::move(path), .body = ""};
  });
}

Result<Request> list_objects(const Resource& resource, const Selection& selection, const ListPage& page) {
  Query query;
  query.add("labelSelector", selection.label_selector);
  query.add("fieldSelector", selection.field_selector);
  if (page.limit > 0) query.add("limit", std::to_string(page.limit));
  query.add("continue", page.continue_token);
  query.add("resourceVersion", page.resource_version);
  return collection_path(resource, selection.namespace_name).map([&](const std::string& path) {
    return Request{.target = path + query.text(), .body = ""};
  });
}

Result<Request> watch_objects(const Resource& resource, const Selection& selection, const WatchFrom& from) {
  Query query;
  query.add("watch", "true");
  if (from.bookmarks) query.add("allowWatchBookmarks", "true");
  query.add("labelSelector", selection.label_selector);
  query.add("fieldSelector", selection.field_selector);
  query.add("resourceVersion", from.resource_version);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(from.timeout).count();
  if (seconds > 0) query.add("timeoutSeconds", std::to_string(seconds));
  return collection_path(resource, selection.namespace_name).map([&](const std::string& path) {
    return Request{.target = path + query.text(), .body = ""};
  });
}

Result<Request> read_log(std::string_view namespace_name, std::string_view pod, std::string_view container,
                         unsigned tail_lines) {
  Query query;
  query.add("container", container);
  query.add("tailLines", std::to_string(tail_lines));
  return object_path(resources::pod, namespace_name, pod).map([&](const std::string& path) {
    return Request{.target = path + "/log" + query.text(), .accept = "*/*", .body = ""};
  });
}

Result<Request> create_object(const nlohmann::json& object, std::string_view field_manager) {
  const auto place = place_of(object);
  if (!place) return tl::unexpected(place.error());
  if (place->resource.namespaced && place->namespace_name.empty())
    return fail(ErrorKind::invalid, "a " + std::string(place->resource.kind) + " without a namespace");
  Query query;
  query.add("fieldManager", field_manager);
  return collection_path(place->resource, place->namespace_name).map([&](const std::string& path) {
    return Request{.method = Method::post,
                   .target = path + query.text(),
                   .body = write_out(object),
                   .content_type = json_type};
  });
}

Result<Request> update_object(const nlohmann::json& object, std::string_view field_manager) {
  Query query;
  query.add("fieldManager", field_manager);
  return path_of(object).map([&](const std::string& path) {
    return Request{.method = Method::put,
                   .target = path + query.text(),
                   .body = write_out(object),
                   .content_type = json_type};
  });
}

Result<Request> apply_object(const nlohmann::json& object, const ApplyOptions& options) {
  if (options.field_manager.empty()) return fail(ErrorKind::invalid, "an apply without a field manager");
  Query query;
  query.add("fieldManager", options.field_manager);
  if (options.force) query.add("force", "true");
  if (options.dry_run) query.add("dryRun", "All");
  return path_of(object).map([&](std::string path) {
    return Request{.method = Method::patch,
                   .target = with_status(std::move(path), options.status) + query.text(),
                   .body = write_out(object),
                   .content_type = apply_type};
  });
}

Result<Request> patch_object(const Resource& resource, std::string_view namespace_name, std::string_view name,
                             PatchKind kind, const nlohmann::json& patch, const PatchOptions& options) {
  Query query;
  query.add("fieldManager", options.field_manager);
  return object_path(resource, namespace_name, name).map([&](std::string path) {
    return Request{.method = Method::patch,
                   .target = with_status(std::move(path), options.status) + query.text(),
                   .body = write_out(patch),
                   .content_type = kind == PatchKind::json ? json_patch_type : merge_patch_type};
  });
}

Result<Request> delete_object(const Resource& resource, std::string_view namespace_name,
                              std::string_view name, const DeleteOptions& options) {
  nlohmann::json body{{"apiVersion", "v1"}, {"kind", "DeleteOptions"}};
  if (!options.uid.empty()) body["preconditions"]["uid"] = options.uid;
  if (!options.resource_version.empty()) body["preconditions"]["resourceVersion"] = options.resource_version;
  if (!options.propagation.empty()) body["propagationPolicy"] = options.propagation;
  return object_path(resource, namespace_name, name).map([&](std::string path) {
    return Request{
        .method = Method::del, .target = std::move(path), .body = write_out(body), .content_type = json_type};
  });
}

nlohmann::json finalizers_patch(const nlohmann::json& finalizers, std::string_view resource_version) {
  return {{"metadata", {{"finalizers", finalizers}, {"resourceVersion", resource_version}}}};
}

}  // namespace lambda::kube
