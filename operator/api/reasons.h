// The types of conditions and their reasons: closed sets, each documented in docs/conditions.md (a test
// compares them). People and alerts select by these words: add to them, do not rename them.
#pragma once

#include <array>
#include <string_view>

namespace lambda::api {

namespace condition {
inline constexpr std::string_view queue_ready = "QueueReady";
inline constexpr std::string_view dead_letter_ready = "DeadLetterReady";
inline constexpr std::string_view routing_ready = "RoutingReady";
inline constexpr std::string_view source_ready = "SourceReady";
inline constexpr std::string_view trigger_ready = "TriggerReady";
inline constexpr std::string_view delivery_guaranteed = "DeliveryGuaranteed";
inline constexpr std::string_view ready = "Ready";  // sums up all of a JobQueue but DeliveryGuaranteed

// Of a DeadLetterRedrive.
inline constexpr std::string_view complete = "Complete";
inline constexpr std::string_view failed = "Failed";

inline constexpr std::array all{queue_ready,  dead_letter_ready, routing_ready,
                                source_ready, trigger_ready,     delivery_guaranteed,
                                ready,        complete,          failed};
}  // namespace condition

/// Of QueueReady, DeadLetterReady, RoutingReady, SourceReady, TriggerReady and Ready.
namespace reason {
// It is as it should be.
inline constexpr std::string_view as_specified = "AsSpecified";
inline constexpr std::string_view adopted = "Adopted";       // it was there before, with arguments that fit
inline constexpr std::string_view repaired = "Repaired";     // it was not, and now is again
inline constexpr std::string_view not_needed = "NotNeeded";  // the path has no such part, or it is disabled

// It will be, unless something is in its way.
inline constexpr std::string_view progressing = "Progressing";
inline constexpr std::string_view waiting_for_broker = "WaitingForKnativeBroker";

// The broker has something else.
inline constexpr std::string_view different = "Different";  // only deleting it would help
inline constexpr std::string_view policy_shadowed = "PolicyShadowed";
inline constexpr std::string_view vhost_missing = "VhostMissing";

// The broker can't be asked.
inline constexpr std::string_view secret_missing = "SecretMissing";
inline constexpr std::string_view secret_invalid = "SecretInvalid";
inline constexpr std::string_view cluster_missing = "ClusterMissing";
inline constexpr std::string_view cluster_not_ready = "ClusterNotReady";
inline constexpr std::string_view rabbitmq_unreachable = "RabbitmqUnreachable";
inline constexpr std::string_view rabbitmq_unauthorized = "RabbitmqUnauthorized";
inline constexpr std::string_view rabbitmq_refused = "RabbitmqRefused";  // it understood, and said no

// Kubernetes has something else, or does not let us.
inline constexpr std::string_view invalid = "InvalidSpec";
inline constexpr std::string_view crd_missing = "CrdMissing";
inline constexpr std::string_view namespace_missing = "NamespaceMissing";
inline constexpr std::string_view forbidden = "Forbidden";
inline constexpr std::string_view claimed = "ClaimedByOther";        // another JobQueue has it
inline constexpr std::string_view foreign_object = "ForeignObject";  // somebody else's object has the name
inline constexpr std::string_view apply_failed = "ApplyFailed";
inline constexpr std::string_view object_not_ready = "ObjectNotReady";  // its controller says so
inline constexpr std::string_view broker_missing = "KnativeBrokerMissing";
inline constexpr std::string_view broker_class_other = "KnativeBrokerClass";

// It is being deleted.
inline constexpr std::string_view deleting = "Deleting";
inline constexpr std::string_view holds_messages = "HoldsMessages";
inline constexpr std::string_view deletion_blocked = "DeletionBlocked";

inline constexpr std::array all{as_specified,
                                adopted,
                                repaired,
                                not_needed,
                                progressing,
                                waiting_for_broker,
                                different,
                                policy_shadowed,
                                vhost_missing,
                                secret_missing,
                                secret_invalid,
                                cluster_missing,
                                cluster_not_ready,
                                rabbitmq_unreachable,
                                rabbitmq_unauthorized,
                                rabbitmq_refused,
                                invalid,
                                crd_missing,
                                namespace_missing,
                                forbidden,
                                claimed,
                                foreign_object,
                                apply_failed,
                                object_not_ready,
                                broker_missing,
                                broker_class_other,
                                deleting,
                                holds_messages,
                                deletion_blocked};
}  // namespace reason

/// Of DeliveryGuaranteed, and of the command `lint`. The first group is about any chain, the second about
/// objects that stand by themselves in a file.
namespace finding {
inline constexpr std::string_view guaranteed = "Guaranteed";  // of the condition: nothing was found

inline constexpr std::string_view evicts_oldest = "EvictsOldest";
inline constexpr std::string_view at_most_once = "AtMostOnceDeadLetters";
inline constexpr std::string_view at_least_once_drop_head = "AtLeastOnceNeedsRejectPublish";
inline constexpr std::string_view at_least_once_classic = "AtLeastOnceNeedsQuorum";
inline constexpr std::string_view reject_publish_dlx = "RejectPublishDlxOnQuorum";
inline constexpr std::string_view dead_letter_loop = "DeadLetterLoop";
inline constexpr std::string_view name_collision = "NameCollision";
inline constexpr std::string_view exchange_types_differ = "ExchangeTypesDiffer";
inline constexpr std::string_view dead_letters_expire = "DeadLettersExpire";
inline constexpr std::string_view dead_letters_bounded = "DeadLettersBounded";
inline constexpr std::string_view dead_letters_limited = "DeadLettersDeliveryLimit";
inline constexpr std::string_view dead_letter_key_wildcard = "DeadLetterKeyWildcard";
inline constexpr std::string_view classic_queue = "ClassicQueue";
inline constexpr std::string_view no_delivery_limit = "NoDeliveryLimit";
inline constexpr std::string_view delivery_limit_low = "DeliveryLimitLow";
inline constexpr std::string_view no_length_bound = "NoLengthBound";
inline constexpr std::string_view ttl_short = "TtlShorterThanRetries";
inline constexpr std::string_view wildcard_is_literal = "WildcardIsLiteral";
inline constexpr std::string_view routing_keys_ignored = "RoutingKeysIgnored";
inline constexpr std::string_view routes_everything = "RoutesEverything";
inline constexpr std::string_view source_disabled = "SourceDisabled";
inline constexpr std::string_view trigger_acks_first = "TriggerAcknowledgesFirst";
inline constexpr std::string_view trigger_queue_evicts = "TriggerQueueEvictsOldest";
inline constexpr std::string_view no_retries = "NoRetries";
inline constexpr std::string_view no_backoff = "NoBackoff";
inline constexpr std::string_view retries_too_short = "RetriesTooShort";
inline constexpr std::string_view retries_too_long = "RetriesOutlastConsumerTimeout";
inline constexpr std::string_view prefetch_too_long = "PrefetchOutlastsConsumerTimeout";
inline constexpr std::string_view timeout_missing = "TimeoutMissing";
inline constexpr std::string_view timeout_too_short = "TimeoutTooShort";
inline constexpr std::string_view parallelism_too_high = "ParallelismAboveBuilderQueue";
inline constexpr std::string_view filter_without_type = "FilterWithoutType";
inline constexpr std::string_view filter_type_unknown = "FilterTypeUnknown";
inline constexpr std::string_view filter_source_unknown = "FilterSourceUnknown";
inline constexpr std::string_view sink_is_subscriber = "DeadLetterSinkIsSubscriber";
inline constexpr std::string_view sink_is_broker = "DeadLetterSinkIsBroker";
inline constexpr std::string_view subscriber_is_broker = "SubscriberIsBroker";
inline constexpr std::string_view deletes_messages = "DeletesMessages";

inline constexpr std::string_view filters_ignored = "FiltersIgnored";
inline constexpr std::string_view given_up_is_lost = "GivenUpIsLost";
inline constexpr std::string_view dead_letter_unbound = "DeadLetterExchangeUnbound";
inline constexpr std::string_view no_dead_letter_exchange = "NoDeadLetterExchange";
inline constexpr std::string_view argument_refused = "ArgumentRefused";
inline constexpr std::string_view arguments_immutable = "ArgumentsImmutable";
inline constexpr std::string_view pattern_not_anchored = "PatternNotAnchored";
inline constexpr std::string_view source_declares_queue = "SourceDeclaresQueue";
inline constexpr std::string_view unknown_field = "UnknownField";
inline constexpr std::string_view invalid_field = "InvalidField";

inline constexpr std::array all{guaranteed,
                                evicts_oldest,
                                at_most_once,
                                at_least_once_drop_head,
                                at_least_once_classic,
                                reject_publish_dlx,
                                dead_letter_loop,
                                name_collision,
                                exchange_types_differ,
                                dead_letters_expire,
                                dead_letters_bounded,
                                dead_letters_limited,
                                dead_letter_key_wildcard,
                                classic_queue,
                                no_delivery_limit,
                                delivery_limit_low,
                                no_length_bound,
                                ttl_short,
                                wildcard_is_literal,
                                routing_keys_ignored,
                                routes_everything,
                                source_disabled,
                                trigger_acks_first,
                                trigger_queue_evicts,
                                no_retries,
                                no_backoff,
                                retries_too_short,
                                retries_too_long,
                                prefetch_too_long,
                                timeout_missing,
                                timeout_too_short,
                                parallelism_too_high,
                                filter_without_type,
                                filter_type_unknown,
                                filter_source_unknown,
                                sink_is_subscriber,
                                sink_is_broker,
                                subscriber_is_broker,
                                deletes_messages,
                                filters_ignored,
                                given_up_is_lost,
                                dead_letter_unbound,
                                no_dead_letter_exchange,
                                argument_refused,
                                arguments_immutable,
                                pattern_not_anchored,
                                source_declares_queue,
                                unknown_field,
                                invalid_field};
}  // namespace finding

/// Of a DeadLetterRedrive's Complete and Failed.
namespace redrive_reason {
inline constexpr std::string_view running = "Running";
inline constexpr std::string_view moved_all = "AllMoved";  // what matched has been moved
inline constexpr std::string_view limit_reached = "LimitReached";
inline constexpr std::string_view dry_run = "DryRun";  // counted, nothing moved
inline constexpr std::string_view nothing_matched = "NothingMatched";
inline constexpr std::string_view queue_missing = "JobQueueMissing";
inline constexpr std::string_view queue_deleting = "JobQueueDeleting";
inline constexpr std::string_view dead_letter_queue_missing = "DeadLetterQueueMissing";
inline constexpr std::string_view delivery_limit = "DeadLetterDeliveryLimit";  // a redrive would use it up
inline constexpr std::string_view target_missing = "TargetMissing";
inline constexpr std::string_view target_refuses = "TargetRefuses";  // it is full, and says so
inline constexpr std::string_view target_is_source = "TargetIsSource";
inline constexpr std::string_view rabbitmq_unreachable = "RabbitmqUnreachable";
inline constexpr std::string_view rabbitmq_unauthorized = "RabbitmqUnauthorized";
inline constexpr std::string_view secret_missing = "SecretMissing";
inline constexpr std::string_view other_redrive_runs = "OtherRedriveRuns";  // one at a time for a queue
inline constexpr std::string_view invalid = "InvalidSpec";

inline constexpr std::array all{running,
                                moved_all,
                                limit_reached,
                                dry_run,
                                nothing_matched,
                                queue_missing,
                                queue_deleting,
                                dead_letter_queue_missing,
                                delivery_limit,
                                target_missing,
                                target_refuses,
                                target_is_source,
                                rabbitmq_unreachable,
                                rabbitmq_unauthorized,
                                secret_missing,
                                other_redrive_runs,
                                invalid};
}  // namespace redrive_reason

}  // namespace lambda::api
