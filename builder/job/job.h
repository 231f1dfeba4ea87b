// From an event to the Kaniko Job that builds it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "cloudevents/event.h"
#include "config/config.h"
#include "event/job_start.h"
#include "kube/request.h"

namespace lambda::job {

/// The event goes into an annotation while its JSON is no larger: the API server takes 256 KiB of annotations
/// in all.
inline constexpr std::size_t event_annotation_max_bytes = 65'536;

struct Job {
  std::string name;
  std::string namespace_name;
  std::string body;  // the batch/v1 Job
  std::string_view content_type = kube::json_type;
};

enum class Format : std::uint8_t {
  json,
  /// Cheaper for the API server to read by a tenth of a create. Where the configuration's patch has a field
  /// that kube::job_schema() does not know, it is JSON all the same.
  protobuf,
};

/// Makes the Jobs of one configuration. All that the configuration says of a Job is rendered once, by the
/// constructor; an event only fills in what is its own. Thread-safe once it is constructed.
class JobMaker {
 public:
  /// `settings` comes from config::parse, which has checked the templates and the patch in it.
  explicit JobMaker(const config::Build& settings, Format format = Format::json);
  ~JobMaker();
  JobMaker(const JobMaker&) = delete;
  JobMaker& operator=(const JobMaker&) = delete;
  JobMaker(JobMaker&&) = delete;
  JobMaker& operator=(JobMaker&&) = delete;

  /// The same arguments make the same bytes. The name depends on the event's source, id and redrive attempt
  /// only. Whatever the sender wrote stands in a single word of the form --flag=value, in a label that
  /// follows the rule for labels, or in an annotation. Pods fit the Pod Security level "baseline" unless the
  /// configuration's patch says otherwise.
  ///
  /// `start` was parsed from `event` with the same settings.
  Job make(const cloudevents::Event& event, const event::JobStart& start) const;

  /// The Job of an event that nobody sent and in which nothing is out of the ordinary: where the API server
  /// refuses it (in a dry run; it is not meant to be built), it would refuse every event's.
  Job make_reference() const;

  /// Why it makes JSON although protobuf was asked for; nothing if it does as it was asked.
  const std::optional<base::Error>& why_json() const;

 private:
  struct Templates;
  config::Build settings_;
  std::unique_ptr<const Templates> templates_;
};

/// Whether an event decides the value of a Job's field, wholly or in part, as opposed to the configuration
/// alone. `field_path` is written as the API server's errors have it: "spec.activeDeadlineSeconds",
/// "spec.template.spec.containers[0].args[3]", "metadata.annotations[lambda.notifi.network/event]". False for
/// what no Job of ours has.
bool is_set_by_event(std::string_view field_path);

}  // namespace lambda::job
