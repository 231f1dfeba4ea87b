// From what was observed to the conditions that tell it. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/job_queue.h"
#include "desired/lint.h"
#include "judgement/trouble.h"
#include "topology/topology.h"

namespace lambda::judgement {

/// The parts of a chain that a person asks for; each has a condition of its own.
enum class Part { queue, dead_letter, routing, source, trigger };

/// Which part an object that should exist belongs to.
Part part_of(const nlohmann::json& object, const api::JobQueueSpec& spec);

/// Which part something in the broker belongs to; `wanted` is what the drift was made of.
Part part_of(const topology::Drift& drift, const topology::Topology& wanted, const api::JobQueueSpec& spec);

struct PartTrouble {
  Part part;
  Trouble trouble;
};

/// Something that was as it should be, was not any more, and is again.
struct Repaired {
  Part part;
  std::string kind;  // "queue", "policy", ... in the broker; "Trigger", "Policy", ... in Kubernetes
  std::string text;  // for a person
};

/// What one look at a JobQueue found.
struct Observation {
  std::optional<Trouble> all;  // in the way of everything: the spec is wrong, another JobQueue has the queue
  std::optional<Trouble> broker;  // RabbitMQ can't be asked: nobody knows of queue, dead letters and routing
  std::vector<PartTrouble> troubles;       // what is wrong
  std::vector<PartTrouble> waits;          // what others still have to do
  std::vector<Repaired> repaired;          // by this look
  std::vector<std::string> adopted;        // what was there before us
  std::vector<desired::Finding> findings;  // of the lint
  bool is_new = false;                     // it was not ready, and this look wrote: the next one confirms it
};

/// All seven, in the order of the documents; without times.
std::vector<api::Condition> judge(const api::JobQueue& queue, const Observation& observation);

}  // namespace lambda::judgement
