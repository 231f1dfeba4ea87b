// The CloudEvents that tell the world of a build. docs/schemas/build-result.json describes their data. Pure.
#pragma once

#include <string>
#include <string_view>

#include "builds/build.h"
#include "builds/pod.h"
#include "builds/verdict.h"
#include "cloudevents/event.h"

namespace lambda::builds {

inline constexpr std::string_view started_type = "network.notifi.lambda.build.started";
inline constexpr std::string_view complete_type = "network.notifi.lambda.build.complete";
inline constexpr std::string_view failed_type = "network.notifi.lambda.build.failed";  // superseded too
inline constexpr std::string_view timeout_type = "network.notifi.lambda.build.timeout";

/// Its container runs. Id "<uid of the Job>.started", subject: the Job's name, extensions correlationid,
/// thirdpartyid, parserid (and traceparent where known). The same inputs make the same event: its time is
/// that of the container's start.
cloudevents::Event started_event(const Build& build, base::CalendarTime container_started,
                                 std::string_view source);

/// It is over. Id "<uid>.<complete|failed|timeout>", time: that of its end.
cloudevents::Event result_event(const Build& build, const Verdict& verdict, std::string_view source);

}  // namespace lambda::builds
