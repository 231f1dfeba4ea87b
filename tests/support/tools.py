"""Programs that tests ask for by name, built from hack/tools on first use."""

import sys

from support.testbed import REPOSITORY

sys.path.append(str(REPOSITORY / "hack"))
from testbed_parts import tools  # noqa: E402

GROUPS = {"cloudevents": tools.CONFORMANCE, "promtool": tools.PROMTOOL}


def tool(name):
    """The path of `cloudevents` (the standard's conformance) or `promtool`. Building takes minutes."""
    group = GROUPS[name]
    tools.ensure([group], print)
    return tools.program(group, name)
