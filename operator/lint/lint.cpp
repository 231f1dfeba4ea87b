#include "lint/lint.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <ios>
#include <iostream>
#include <iterator>
#include <optional>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

#include "api/job_queue.h"
#include "api/reasons.h"
#include "api/redrive.h"
#include "desired/object_lint.h"
#include "lint/documents.h"
#include "lint/known_fields.h"

namespace lambda::lint {
namespace {

using desired::Finding;
using nlohmann::json;
using Severity = Finding::Severity;
namespace reason = api::finding;

constexpr std::array<std::pair<std::string_view, std::string_view>, 8> foreign_kinds{
    {{"eventing.knative.dev/", "Trigger"},
     {"sources.knative.dev/", "RabbitmqSource"},
     {"rabbitmq.com/", "Queue"},
     {"rabbitmq.com/", "Policy"},
     {"rabbitmq.com/", "Exchange"},
     {"rabbitmq.com/", "Binding"},
     {"lambda.notifi.network/", api::job_queue_kind},
     {"lambda.notifi.network/", api::redrive_kind}}};

std::string text(const json& object, std::string_view name) {
  const auto found = object.find(std::string(name));
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

bool is_ours(const json& object, std::string_view kind) {
  return text(object, "kind") == kind &&
         text(object, "apiVersion").starts_with(std::string(api::group) + "/");
}

bool is_known_kind(const json& object) {
  return std::any_of(foreign_kinds.begin(), foreign_kinds.end(), [&](const auto& known) {
    return text(object, "kind") == known.second && text(object, "apiVersion").starts_with(known.first);
  });
}

std::string shown(const json& object) {
  const json metadata =
      object.contains("metadata") && object["metadata"].is_object() ? object["metadata"] : json::object();
  const std::string space = text(metadata, "namespace");
  return text(object, "kind") + " " + (space.empty() ? "" : space + "/") + text(metadata, "name");
}

// A document is one object, or a List of several.
void add_objects(const Document& document, std::vector<Document>& objects) {
  const json& value = document.value;
  if (!value.is_object()) return;
  const auto items = value.find("items");
  if (!text(value, "kind").ends_with("List") || items == value.end() || !items->is_array()) {
    if (is_known_kind(value)) objects.push_back(document);
    return;
  }
  for (std::size_t i = 0; i < items->size(); ++i)
    add_objects(document.at((*items)[i], "items[" + std::to_string(i) + "]"), objects);
}

Finding unknown_field(const std::string& path) {
  if (path == "spec.trigger.filters") {
    return {
        Severity::error, std::string(reason::filters_ignored), path,
        "A broker of class RabbitMQBroker knows no filters, and JobQueue has none: every event would match.",
        "Write filter, with attributes and their values."};
  }
  return {Severity::error, std::string(reason::unknown_field), path,
          "There is no such field: the API server drops it.", "Compare its name with kubectl explain."};
}

void add_own(const json& object, const std::vector<base::Error>& problems, std::vector<Finding>& findings) {
  for (const base::Error& problem : problems) {
    findings.push_back({Severity::error, std::string(reason::invalid_field), problem.field,
                        problem.message + ".", "Compare it with kubectl explain."});
  }
  for (const std::string& path : unknown_fields(object)) findings.push_back(unknown_field(path));
}

std::vector<Finding> findings_of(const json& object) {
  std::vector<Finding> findings;
  if (is_ours(object, api::job_queue_kind)) {
    const api::ReadJobQueue read = api::read_job_queue(object);
    add_own(object, read.problems, findings);
    std::ranges::move(desired::lint(read.queue), std::back_inserter(findings));
  } else if (is_ours(object, api::redrive_kind)) {
    add_own(object, api::read_redrive(object).problems, findings);
  } else {
    findings = desired::lint_object(object);
  }
  return findings;
}

Located locate(const Document& document, Finding finding) {
  return {document.line_of(finding.field), shown(document.value), std::move(finding)};
}

// What only shows beside the objects of all files comes last.
Report check_objects(std::span<const Document> objects) {
  Report report;
  report.objects = objects.size();
  for (const Document& object : objects) {
    for (Finding& finding : findings_of(object.value))
      report.findings.push_back(locate(object, std::move(finding)));
  }
  return report;
}

void sort_by_line(std::vector<Located>& findings) {
  std::vector<std::size_t> order(findings.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::tuple(findings[a].line, a) < std::tuple(findings[b].line, b);
  });
  std::vector<Located> sorted;
  for (const std::size_t place : order) sorted.push_back(std::move(findings[place]));
  findings = std::move(sorted);
}

struct File {
  std::string name;
  std::vector<Document> objects;
  Report report;
};

std::optional<std::string> read_file(const std::string& name) {
  if (name == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream stream(name, std::ios::binary);
  if (!stream) return std::nullopt;
  try {
    return std::string(std::istreambuf_iterator<char>(stream), {});
  } catch (const std::ios_base::failure&) {  // a folder opens, and can't be read
    return std::nullopt;
  }
}

File read(const std::string& name, std::string_view text) {
  File file{name, {}, {}};
  const auto documents = read_documents(text);
  if (!documents) {
    file.report.unreadable.push_back(documents.error().message);
    return file;
  }
  for (const Document& document : *documents) add_objects(document, file.objects);
  file.report = check_objects(file.objects);
  return file;
}

// A dead-letter exchange may be bound in another file.
void check_together(std::vector<File>& files) {
  std::vector<json> values;
  std::vector<std::pair<File*, const Document*>> owners;
  for (File& file : files) {
    for (const Document& object : file.objects) {
      values.push_back(object.value);
      owners.emplace_back(&file, &object);
    }
  }
  for (auto& [place, finding] : desired::lint_together(values)) {
    const auto& [file, object] = owners[place];
    file->report.findings.push_back(locate(*object, std::move(finding)));
  }
  for (File& file : files) sort_by_line(file.report.findings);
}

std::string counted(std::size_t count, const std::string& thing) {
  return std::to_string(count) + " " + thing + (count == 1 ? "" : "s");
}

struct Tally {
  std::size_t errors = 0;
  std::size_t warnings = 0;
  std::size_t objects = 0;
  bool unreadable = false;
};

void print(const File& file, Tally& tally, std::ostream& out, std::ostream& err) {
  tally.objects += file.report.objects;
  for (const std::string& problem : file.report.unreadable) {
    err << file.name << ": " << problem << '\n';
    tally.unreadable = true;
  }
  for (const auto& [line, object, finding] : file.report.findings) {
    ++(finding.severity == Severity::error ? tally.errors : tally.warnings);
    out << file.name << ':' << line << ": " << to_string(finding.severity) << ": " << object << ": "
        << finding.field << ": " << finding.message << " [" << finding.reason << "]\n    " << finding.remedy
        << '\n';
  }
}

}  // namespace

Report check(std::string_view text) {
  std::vector<File> files;
  files.push_back(read("", text));
  check_together(files);
  return std::move(files.front().report);
}

int run(std::span<const std::string> names, bool strict, std::ostream& out, std::ostream& err) {
  Tally tally;
  std::vector<File> files;
  for (const std::string& name : names) {
    if (const auto text = read_file(name)) {
      files.push_back(read(name == "-" ? "stdin" : name, *text));
    } else {
      err << name << ": can't be read\n";
      tally.unreadable = true;
    }
  }
  check_together(files);
  for (const File& file : files) print(file, tally, out, err);
  out << "lint: " << counted(tally.errors, "error") << ", " << counted(tally.warnings, "warning") << " in "
      << counted(tally.objects, "object") << '\n';
  if (tally.unreadable) return exit_unreadable;
  return tally.errors > 0 || (strict && tally.warnings > 0) ? exit_findings : exit_clean;
}

}  // namespace lambda::lint
