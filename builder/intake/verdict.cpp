#include "intake/verdict.h"

namespace lambda::intake {

std::string_view to_string(Flow flow) {
  return flow == Flow::direct ? "direct" : "queue";
}

std::string_view to_string(Ending ending) {
  switch (ending) {
    case Ending::created:
      return "created";
    case Ending::duplicate:
      return "duplicate";
    case Ending::queued:
      return "queued";
    case Ending::dead_lettered:
      return "dead_lettered";
    case Ending::refused:
      return "refused";
    case Ending::malformed:
      return "malformed";
    case Ending::unavailable:
      return "unavailable";
  }
  return "unavailable";
}

}  // namespace lambda::intake
