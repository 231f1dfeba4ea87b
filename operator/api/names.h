// Which names are accepted, in Kubernetes and in RabbitMQ. The schemas in manifests/crds have the same rules.
#pragma once

#include <cstddef>
#include <string_view>

namespace lambda::api {

/// AMQP's short strings.
inline constexpr std::size_t amqp_name_max_bytes = 255;

/// Of the main queue: the names of others are made by adding to it.
inline constexpr std::size_t queue_name_max_bytes = 240;

/// Of a JobQueue: the Trigger's name is made by adding to it, and both are label values.
inline constexpr std::size_t job_queue_name_max_bytes = 55;

/// RFC 1123 subdomain, as names of most Kubernetes objects are: at most 253 characters.
bool is_dns_subdomain(std::string_view text);

/// Of a queue or exchange: letters, digits and _.:/@- with at most 255 bytes, not in the broker's own "amq.".
bool is_amqp_name(std::string_view text);

/// Of a routing key, a binding key or a vhost: valid UTF-8 without control characters, at most 255 bytes.
bool is_amqp_text(std::string_view text);

/// Of an attribute of CloudEvents: [a-z0-9]+, at most 20 characters.
bool is_attribute_name(std::string_view text);

}  // namespace lambda::api
