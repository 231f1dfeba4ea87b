// Why a build waits, and why it ended: closed sets, each documented in docs/builds.md (a test compares them).
// People and alerts select by these words: add to them, do not rename them.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace lambda::builds::reason {

// Waiting can't heal these; what waits for them ends with them.
inline constexpr std::string_view image_unavailable = "ImageUnavailable";
inline constexpr std::string_view secret_missing = "SecretMissing";
inline constexpr std::string_view config_map_missing = "ConfigMapMissing";
inline constexpr std::string_view container_refused = "ContainerRefused";
inline constexpr std::string_view node_selector_impossible = "NodeSelectorImpossible";

// Waiting may heal these.
inline constexpr std::string_view unschedulable = "Unschedulable";
inline constexpr std::string_view quota_exceeded = "QuotaExceeded";
inline constexpr std::string_view pod_refused = "PodRefused";
inline constexpr std::string_view starting = "Starting";

inline constexpr std::array terminal{image_unavailable, secret_missing, config_map_missing, container_refused,
                                     node_selector_impossible};
inline constexpr std::array all_waiting{
    image_unavailable, secret_missing, config_map_missing, container_refused, node_selector_impossible,
    unschedulable,     quota_exceeded, pod_refused,        starting};

// Of verdicts, beside the terminal ones.
inline constexpr std::string_view complete = "Complete";
inline constexpr std::string_view superseded = "Superseded";
inline constexpr std::string_view deadline_exceeded = "DeadlineExceeded";
inline constexpr std::string_view out_of_memory = "OOMKilled";

inline constexpr std::string_view source_unavailable = "SourceUnavailable";

inline constexpr std::string_view dockerfile_missing = "DockerfileMissing";
inline constexpr std::string_view dockerfile_invalid = "DockerfileInvalid";
inline constexpr std::string_view base_image_unavailable = "BaseImageUnavailable";
inline constexpr std::string_view command_failed = "CommandFailed";
inline constexpr std::string_view copy_failed = "CopyFailed";
inline constexpr std::string_view instruction_failed = "InstructionFailed";

inline constexpr std::string_view push_refused = "PushRefused";
inline constexpr std::string_view push_failed = "PushFailed";

inline constexpr std::string_view evicted = "Evicted";
inline constexpr std::string_view disrupted = "Disrupted";
inline constexpr std::string_view node_lost = "NodeLost";
inline constexpr std::string_view pod_deleted = "PodDeleted";
inline constexpr std::string_view pod_failed = "PodFailed";
inline constexpr std::string_view registry_unreachable = "RegistryUnreachable";
inline constexpr std::string_view disk_full = "DiskFull";
inline constexpr std::string_view kaniko_refused = "KanikoRefused";

inline constexpr std::string_view exit_code = "ExitCode";
inline constexpr std::string_view evidence_gone = "EvidenceGone";

inline constexpr std::array all_verdicts{image_unavailable,
                                         secret_missing,
                                         config_map_missing,
                                         container_refused,
                                         node_selector_impossible,
                                         complete,
                                         superseded,
                                         deadline_exceeded,
                                         out_of_memory,
                                         source_unavailable,
                                         dockerfile_missing,
                                         dockerfile_invalid,
                                         base_image_unavailable,
                                         command_failed,
                                         copy_failed,
                                         instruction_failed,
                                         push_refused,
                                         push_failed,
                                         evicted,
                                         disrupted,
                                         node_lost,
                                         pod_deleted,
                                         pod_failed,
                                         registry_unreachable,
                                         disk_full,
                                         kaniko_refused,
                                         exit_code,
                                         evidence_gone};

constexpr bool is_terminal(std::string_view reason) {
  return std::ranges::find(terminal, reason) != terminal.end();
}

}  // namespace lambda::builds::reason
