// The command `lint`: what of the manifests in files would lose messages or does something else than it says.
// It asks no cluster; the files are as somebody wrote them.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "desired/lint.h"

namespace lambda::lint {

enum Exit { exit_clean = 0, exit_findings = 1, exit_unreadable = 2 };

/// A finding of one object in one text.
struct Located {
  std::size_t line = 0;  // from 1: where the field stands, or what it would stand in
  std::string object;    // "JobQueue knative-lambda-dev/kaniko-jobs"
  desired::Finding finding;
};

struct Report {
  std::vector<Located> findings;        // in the order of their lines
  std::size_t objects = 0;              // that lint knows something about
  std::vector<std::string> unreadable;  // "line 3: …": of a text that is neither YAML nor JSON
};

/// One text, with any number of documents, each an object or a List of them. JobQueues, DeadLetterRedrives,
/// and by themselves Knative's Triggers and RabbitmqSources, RabbitMQ's Queues and Policies.
Report check(std::string_view text);

/// "-" is standard input. Findings go to `out` as "FILE:LINE: error: JobQueue ns/name: spec.field: what
/// [Reason]" with the remedy below; what can't be read, to `err`. The exit code: 2 if anything can't be read,
/// else 1 if there are errors (if `strict`: or warnings), else 0.
int run(std::span<const std::string> files, bool strict, std::ostream& out, std::ostream& err);

}  // namespace lambda::lint
