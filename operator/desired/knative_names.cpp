#include "desired/knative_names.h"

#include <algorithm>

#include "base/hash.h"

namespace lambda::desired::knative {
namespace {

constexpr std::size_t longest = 63;
constexpr std::size_t hash_length = 32;
constexpr std::size_t head = longest - hash_length;

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::string dotted(std::initializer_list<std::string_view> words) {
  std::string out;
  for (const std::string_view word : words) {
    out += word;
    out += '.';
  }
  return out;
}

}  // namespace

std::string child_name(std::string_view parent, std::string_view suffix) {
  std::string whole = std::string(parent) + std::string(suffix);
  if (whole.size() <= longest) return whole;
  if (suffix.size() < head) {
    return std::string(parent.substr(0, head - suffix.size())) + base::md5_hex(parent) + std::string(suffix);
  }
  std::string name = std::string(parent.substr(0, head)) + base::md5_hex(whole);
  if (name.size() < longest) name += suffix.substr(0, longest - name.size());
  while (!is_alphanumeric(name.back())) name.pop_back();
  return name;
}

std::string broker_exchange(std::string_view broker_namespace, std::string_view broker,
                            std::string_view broker_uid) {
  return child_name(dotted({"b", broker_namespace, broker}), broker_uid);
}

std::string trigger_queue(std::string_view trigger_namespace, std::string_view trigger,
                          std::string_view broker_uid) {
  return dotted({trigger_namespace, trigger}) + std::string(broker_uid);
}

std::string trigger_dead_letter_exchange(std::string_view trigger_namespace, std::string_view trigger,
                                         std::string_view trigger_uid) {
  return child_name(dotted({"t", trigger_namespace, trigger, "dlx"}), trigger_uid);
}

std::string trigger_dead_letter_queue(std::string_view trigger_namespace, std::string_view trigger,
                                      std::string_view trigger_uid) {
  return child_name(dotted({"t", trigger_namespace, trigger, "dlq"}), trigger_uid);
}

std::string trigger_policy(std::string_view trigger_namespace, std::string_view trigger,
                           std::string_view trigger_uid) {
  return child_name(dotted({"t", trigger_namespace, trigger}), trigger_uid);
}

}  // namespace lambda::desired::knative
