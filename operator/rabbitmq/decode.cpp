#include "rabbitmq/decode.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"

namespace lambda::rabbitmq {
namespace {

using base::at;
using base::ErrorKind;
using base::fail;
using base::Result;
using nlohmann::json;
using topology::Arguments;

/// Deeper than any answer; a stranger's arguments that are nested deeper are cut off there.
constexpr int max_depth = 16;
constexpr std::size_t reason_max_bytes = 512;
constexpr double largest_exact_integer = 9007199254740992.0;  // 2^53

std::string text_at(const json& object, std::string_view key) {
  const json& value = at(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

bool flag_at(const json& object, std::string_view key) {
  const json& value = at(object, key);
  return value.is_boolean() && value.get<bool>();
}

std::optional<std::int64_t> count_at(const json& object, std::string_view key) {
  const json& value = at(object, key);
  return value.is_number_integer() ? std::optional(value.get<std::int64_t>()) : std::nullopt;
}

/// "publish_details": {"rate": 1.5}
std::optional<double> rate_at(const json& statistics, std::string_view key) {
  const json& value = at(at(statistics, key), "rate");
  return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
}

/// Erlang's empty map may come as an empty list.
Arguments arguments_at(const json& object, std::string_view key) {
  const json& value = at(object, key);
  return value.is_object() ? value.get<Arguments>() : Arguments{};
}

Result<json> list_in(const json& answer) {
  const json& list = answer.is_array() ? answer : at(answer, "items");
  if (!list.is_array()) return fail(ErrorKind::unavailable, "the management API's answer is no list");
  return list;
}

Page page_of(const json& answer, std::size_t items) {
  if (answer.is_array()) return {1, items};
  return {static_cast<std::size_t>(std::max<std::int64_t>(1, count_at(answer, "page_count").value_or(1))),
          static_cast<std::size_t>(std::max<std::int64_t>(0, count_at(answer, "total_count").value_or(0)))};
}

/// Calls `use` with each item of the list.
template <class Use>
Result<Page> for_each_item(std::string_view body, const Use& use) {
  const auto answer = parse_answer(body);
  if (!answer) return tl::unexpected(answer.error());
  const auto list = list_in(*answer);
  if (!list) return tl::unexpected(list.error());
  for (const json& item : *list)
    if (item.is_object()) use(item);
  return page_of(*answer, list->size());
}

topology::Queue decode_queue(const json& item) {
  topology::Queue queue;
  queue.name = text_at(item, "name");
  queue.durable = flag_at(item, "durable");
  queue.auto_delete = flag_at(item, "auto_delete");
  queue.arguments = arguments_at(item, "arguments");
  queue.arguments.erase("x-queue-type");
  queue.type = text_at(item, "type");
  return queue;
}

topology::QueueFigures decode_figures(const json& item) {
  const json& statistics = at(item, "message_stats");
  topology::QueueFigures figures;
  figures.messages_ready = count_at(item, "messages_ready");
  figures.messages_unacknowledged = count_at(item, "messages_unacknowledged");
  figures.consumers = count_at(item, "consumers");
  figures.publish_rate = rate_at(statistics, "publish_details");
  figures.deliver_rate = rate_at(statistics, "deliver_get_details");
  figures.ack_rate = rate_at(statistics, "ack_details");
  return figures;
}

topology::Binding decode_binding(const json& item) {
  return {text_at(item, "source"), text_at(item, "destination"), text_at(item, "routing_key"),
          arguments_at(item, "arguments")};
}

bool is_ours_to_know(const json& item) {
  return text_at(item, "destination_type") == "queue" && !text_at(item, "source").empty();
}

/// The broker writes some reasons for a web page.
std::string without_html(std::string text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> entities = {
      {{"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&amp;", "&"}}};
  for (const auto& [entity, character] : entities)
    for (std::size_t place = 0; (place = text.find(entity, place)) != std::string::npos;
         place += character.size())
      text.replace(place, entity.size(), character);
  return text;
}

/// On one line.
std::string flat(std::string_view text) {
  std::string line;
  for (const char character : text) {
    const bool is_space = character == ' ' || (character >= '\t' && character <= '\r');
    if (!is_space) line += character;
    if (is_space && !line.empty() && line.back() != ' ') line += ' ';
  }
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

}  // namespace

Result<json> parse_answer(std::string_view body) {
  const json::parser_callback_t bounded = [](int depth, json::parse_event_t, json&) {
    return depth <= max_depth;
  };
  json answer = json::parse(base::to_valid_utf8(body), bounded, false);
  if (answer.is_discarded()) return fail(ErrorKind::unavailable, "the management API's answer is no JSON");
  return answer;
}

Result<Page> add_queues(std::string_view body, topology::Snapshot& snapshot) {
  return for_each_item(body, [&snapshot](const json& item) {
    topology::ObservedQueue observed;
    observed.queue = decode_queue(item);
    observed.policy = text_at(item, "policy");
    std::string name = observed.queue.name;
    snapshot.queues.insert_or_assign(std::move(name), std::move(observed));
  });
}

Result<Page> add_figures(std::string_view body, topology::Snapshot& snapshot) {
  return for_each_item(body, [&snapshot](const json& item) {
    const auto place = snapshot.queues.find(text_at(item, "name"));
    if (place == snapshot.queues.end()) return;
    topology::ObservedQueue& observed = place->second;
    observed.figures = decode_figures(item);
    if (const std::string state = text_at(item, "state"); state != "live") observed.state = state;
    // Statistics that name another policy than the broker does are older than that: what they say of policies
    // is not true any more.
    if (!item.contains("operator_policy") || text_at(item, "policy") != observed.policy) return;
    observed.operator_policy = text_at(item, "operator_policy");
    observed.effective_policy = arguments_at(item, "effective_policy_definition");
  });
}

Result<void> add_exchanges(std::string_view body, topology::Snapshot& snapshot) {
  const auto read = for_each_item(body, [&snapshot](const json& item) {
    std::string name = text_at(item, "name");
    topology::ObservedExchange observed{{name, text_at(item, "type"), flag_at(item, "durable"),
                                         flag_at(item, "auto_delete"), arguments_at(item, "arguments")},
                                        text_at(item, "policy")};
    snapshot.exchanges.insert_or_assign(std::move(name), std::move(observed));
  });
  return read.map([](const Page&) {});
}

Result<void> add_policies(std::string_view body, std::map<std::string, topology::Policy>& policies) {
  const auto read = for_each_item(body, [&policies](const json& item) {
    std::string name = text_at(item, "name");
    topology::Policy policy{name, text_at(item, "pattern"), text_at(item, "apply-to"),
                            count_at(item, "priority").value_or(0), arguments_at(item, "definition")};
    policies.insert_or_assign(std::move(name), std::move(policy));
  });
  return read.map([](const Page&) {});
}

Result<void> add_bindings(std::string_view body, topology::Snapshot& snapshot) {
  const auto read = for_each_item(body, [&snapshot](const json& item) {
    if (is_ours_to_know(item)) snapshot.bindings.push_back(decode_binding(item));
  });
  return read.map([](const Page&) {});
}

Result<std::vector<NamedBinding>> decode_named_bindings(std::string_view body) {
  std::vector<NamedBinding> bindings;
  const auto read = for_each_item(body, [&bindings](const json& item) {
    bindings.push_back({decode_binding(item), text_at(item, "properties_key")});
  });
  return read.map([&bindings](const Page&) { return std::move(bindings); });
}

std::string reason_in(std::string_view body) {
  const auto answer = parse_answer(body);
  if (!answer) return {};
  std::string reason = text_at(*answer, "reason");
  if (reason.empty()) reason = text_at(*answer, "error");
  return base::cut(flat(without_html(std::move(reason))), reason_max_bytes);
}

json encode(const Arguments& arguments) {
  json encoded = json::object();
  for (const auto& [name, value] : arguments) {
    encoded[name] = value;
    if (!value.is_number_float()) continue;
    const auto number = value.get<double>();
    if (std::abs(number) <= largest_exact_integer && std::trunc(number) == number)
      encoded[name] = static_cast<std::int64_t>(number);
  }
  return encoded;
}

}  // namespace lambda::rabbitmq
