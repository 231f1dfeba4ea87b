#include "desired/delivery_rules.h"

#include <algorithm>
#include <utility>

#include "api/reasons.h"
#include "base/time.h"
#include "desired/limits.h"

namespace lambda::desired {
namespace {

using base::milliseconds;
using Severity = Finding::Severity;
namespace reason = api::finding;

constexpr milliseconds year = std::chrono::hours(24 * 365);
constexpr std::string_view job_start = "network.notifi.lambda.job.start";
constexpr std::string_view build_start = "network.notifi.lambda.build.start";
constexpr std::string_view queue_source = "network.notifi.kaniko-jobs";

void add(Findings& findings, Severity severity, std::string_view reason, std::string field,
         std::string message, std::string remedy) {
  findings.push_back(
      {severity, std::string(reason), std::move(field), std::move(message), std::move(remedy)});
}

}  // namespace

void warn(Findings& findings, std::string_view reason, std::string field, std::string message,
          std::string remedy) {
  add(findings, Severity::warning, reason, std::move(field), std::move(message), std::move(remedy));
}

void fault(Findings& findings, std::string_view reason, std::string field, std::string message,
           std::string remedy) {
  add(findings, Severity::error, reason, std::move(field), std::move(message), std::move(remedy));
}

void check_retries(const api::Delivery& delivery, const std::string& field, Findings& findings) {
  if (delivery.retry < 1) {
    fault(findings, reason::no_retries, field + ".retry",
          "One refused connection, or one 503, is enough to give an event up.", "Write retry: 5.");
    return;
  }
  if (delivery.backoff_delay.count() == 0) {
    warn(findings, reason::no_backoff, field + ".backoffDelay",
         "All retries come at once, and end before the trouble does.", "Write backoffDelay: PT0.5S.");
  } else if (total_backoff(delivery) < limits::builder_restart) {
    warn(findings, reason::retries_too_short, field,
         "All retries are over after " + base::format_duration(total_backoff(delivery)) +
             ": a subscriber that restarts takes longer, and what it misses becomes dead letters.",
         "Raise retry or backoffDelay; retry: 5 with PT0.5S, exponential, is 31 s.");
  }
}

void check_consumer_timeout(const api::Delivery& delivery, std::int64_t in_hand, std::int64_t at_once,
                            const std::string& field, Findings& findings) {
  const milliseconds longest = longest_delivery(delivery);
  if (longest >= limits::consumer_timeout) {
    fault(findings, reason::retries_too_long, field,
          "One event can take up to " + base::format_duration(longest) +
              ", but RabbitMQ closes the channel of a consumer that has not acknowledged for " +
              base::format_duration(limits::consumer_timeout) + ": everything in hand is delivered again.",
          "Lower retry, backoffDelay or timeout.");
    return;
  }
  const std::int64_t rounds = (in_hand + at_once - 1) / at_once;
  if (longest * rounds >= limits::consumer_timeout) {
    const std::int64_t bearable = (limits::consumer_timeout - milliseconds(1)) / longest;
    const std::int64_t parallelism = (in_hand + bearable - 1) / bearable;
    warn(findings, reason::prefetch_too_long, field,
         "The dispatcher holds " + std::to_string(in_hand) + " events and works on " +
             std::to_string(at_once) + " of them: with a subscriber that hangs the last one waits up to " +
             base::format_duration(longest * rounds) +
             ", and RabbitMQ closes the channel of a consumer that has not acknowledged for " +
             base::format_duration(limits::consumer_timeout) + ": all of them are delivered again.",
         "Lower retry or timeout, or raise parallelism to " + std::to_string(parallelism) + ".");
  }
}

void check_timeout(const api::Delivery& delivery, const std::string& field, Findings& findings) {
  if (delivery.timeout.count() == 0) {
    fault(findings, reason::timeout_missing, field + ".timeout",
          "Without a timeout a subscriber that hangs holds its worker for ever.", "Write timeout: PT30S.");
  } else if (delivery.timeout <= limits::builder_request_timeout) {
    fault(findings, reason::timeout_too_short, field + ".timeout",
          "The builder may take " + base::format_duration(limits::builder_request_timeout) +
              " (http.requestTimeout) to answer: the dispatcher gives up before, and sends the event again.",
          "Write timeout: PT30S.");
  }
}

void check_parallelism(std::int64_t parallelism, const std::string& field, Findings& findings) {
  if (parallelism <= limits::builder_queue_size) return;
  warn(findings, reason::parallelism_too_high, field,
       "More events at once than the builder's queue holds (asyncJobCreator.maxQueueSize, " +
           std::to_string(limits::builder_queue_size) + "): the rest gets 503, and uses its retries up.",
       "Write at most " + std::to_string(limits::builder_queue_size) + " for each builder.");
}

void check_filter(const std::map<std::string, std::string>& filter, const std::string& field,
                  Findings& findings) {
  const auto type = filter.find("type");
  if (type == filter.end()) {
    warn(findings, reason::filter_without_type, field,
         "The subscriber gets events of every type; the builder makes dead letters of those that it does not "
         "know.",
         "Write type: " + std::string(job_start) + ".");
  } else if (type->second != job_start && type->second != build_start) {
    warn(findings, reason::filter_type_unknown, field + ".type",
         "The builder takes " + std::string(job_start) + " and " + std::string(build_start) + " only.",
         "Write type: " + std::string(job_start) + ".");
  }
  const auto source = filter.find("source");
  if (source == filter.end() || source->second != queue_source) {
    warn(findings, reason::filter_source_unknown, field + ".source",
         "The builder answers 4xx to a bad event unless its source is one of intake.queueSources (" +
             std::string(queue_source) +
             "), and the dispatcher takes a 4xx for a success: the event is gone.",
         "Write source: " + std::string(queue_source) + ", or add yours to intake.queueSources.");
  }
}

milliseconds total_backoff(const api::Delivery& delivery) {
  milliseconds total{0};
  milliseconds step = delivery.backoff_delay;
  for (std::int64_t attempt = 1; attempt <= delivery.retry && total < year; ++attempt) {
    step = delivery.backoff_policy == api::BackoffPolicy::exponential ? std::min(step * 2, year)
                                                                      : delivery.backoff_delay * attempt;
    total += step;
  }
  return std::min(total, year);
}

milliseconds longest_delivery(const api::Delivery& delivery) {
  return std::min(total_backoff(delivery) + delivery.timeout * (delivery.retry + 1), year);
}

}  // namespace lambda::desired
