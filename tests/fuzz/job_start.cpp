// The data of a job.start event. What is accepted becomes a Job in which each word and label has its form.
#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "build/destination.h"
#include "check.h"
#include "job/job.h"
#include "support/protobuf_job.h"

namespace {

using lambda::fuzz::check;
using nlohmann::json;

constexpr std::size_t annotations_max_bytes = 256 * 1024;  // the API server's bound

bool is_expected_argument(const std::string& argument) {
  static constexpr std::array<std::string_view, 11> expected{"--context=git://github.com/",
                                                             "--context=https://github.com/",
                                                             "--context-sub-path=",
                                                             "--dockerfile=Dockerfile",
                                                             "--destination=registry.local/",
                                                             "--digest-file=",
                                                             "--log-format=text",
                                                             "--push-retry=3",
                                                             "--image-fs-extract-retry=3",
                                                             "--image-download-retry=3",
                                                             "--build-arg="};
  return std::any_of(expected.begin(), expected.end(),
                     [&argument](std::string_view prefix) { return argument.starts_with(prefix); });
}

// Kubernetes takes "$(" for the begin of a variable's name, "$$" for a plain "$".
bool refers_to_variable(std::string_view argument) {
  for (std::size_t i = 0; i + 1 < argument.size(); ++i) {
    if (argument[i] != '$') continue;
    if (argument[i + 1] == '(') return true;
    if (argument[i + 1] == '$') ++i;
  }
  return false;
}

void check_argument(const std::string& argument) {
  check(is_expected_argument(argument), "each argument begins with a flag of ours");
  check(!refers_to_variable(argument), "no argument refers to a variable");
  if (!argument.starts_with("--destination=")) return;
  const std::string_view image = std::string_view(argument).substr(14);
  check(std::count(image.begin(), image.end(), '/') == 2 && std::count(image.begin(), image.end(), ':') == 1,
        "an id adds no slash and no colon");
  check(lambda::base::to_lower(image) == image, "an id adds no upper case");
}

void check_metadata(const json& metadata) {
  check(lambda::base::is_dns_label(metadata.at("name").get<std::string>()), "the name is a DNS label");
  for (const auto& label : metadata.at("labels")) {
    check(lambda::base::is_label_value(label.get<std::string>()), "each label is one");
  }
  std::size_t bytes = 0;
  for (const auto& [name, value] : metadata.at("annotations").items()) {
    bytes += name.size() + value.get_ref<const std::string&>().size();
  }
  check(bytes <= annotations_max_bytes, "the annotations are bounded");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const lambda::config::Build settings;
  static const lambda::job::JobMaker maker(settings);
  static const lambda::job::JobMaker other_format(settings, lambda::job::Format::protobuf);
  check(lambda::build::check_destination(settings.destination).has_value(),
        "the default destination is valid");
  lambda::cloudevents::Event event;
  event.id = "1";
  event.source = "fuzz";
  event.type = lambda::event::job_start_type;
  event.data = lambda::fuzz::text(data, size);
  const auto start = lambda::event::parse_job_start(event, settings);
  if (!start) {
    check(!start.error().field.empty(), "an error names the field");
    return 0;
  }
  const json job = json::parse(maker.make(event, *start).body);
  check(lambda::support::ProtobufJob::read(other_format.make(event, *start).body) == job,
        "as protobuf it is the same");
  check_metadata(job.at("metadata"));
  for (const auto& argument : job.at("/spec/template/spec/containers/0/args"_json_pointer)) {
    check_argument(argument.get<std::string>());
  }
  return 0;
}
