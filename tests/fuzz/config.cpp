// A configuration file. Its problems have places within the text, in the order of the text.
#include "config/config.h"

#include "check.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using lambda::fuzz::check;
  const auto text = lambda::fuzz::text(data, size);
  const auto config = lambda::config::parse(text, "file");
  if (config) {
    check(config->async_job_creator.worker_count >= 1, "values within their ranges");
    const auto again = lambda::config::parse(text, "file");
    check(again && *again == *config, "the same text is the same configuration");
    return 0;
  }
  check(!config.error().empty(), "what is refused has a problem");
  for (const auto& problem : config.error()) {
    check(!problem.message.empty() && problem.file == "file", "a problem says what and where");
    check(problem.line <= size + 1, "in a line of the text");
    check(!to_string(problem).empty(), "and can be shown");
  }
  return 0;
}
