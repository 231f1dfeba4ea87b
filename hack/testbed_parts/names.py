"""CoreDNS: the names that pods can ask for, among them this machine's.

It runs on the node rather than in a pod: there when the node is, and with a log like the others'.
"""

from . import api, apiserver, outside, tools
from .part import Part
from .place import HOST_NAME

READY_PORT = 8181

CONFIGURATION = """\
.:53 {{
  bind {node_ip}
  errors
  ready {node_ip}:{ready_port}
  hosts {{
    {host_ip} {host_name}
    fallthrough
  }}
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {kubeconfig}
    pods insecure
    ttl 5
    fallthrough in-addr.arpa
  }}
  {forward}
  cache 5 {{
    disable success cluster.local
    disable denial cluster.local
  }}
}}
"""


def _prepare(bed):
    forward = f"forward . {bed.outside_name_server}" if outside.is_possible() else ""
    bed.write(
        "node/Corefile",
        CONFIGURATION.format(
            node_ip=bed.node_ip,
            ready_port=READY_PORT,
            host_ip=bed.host_ip,
            host_name=HOST_NAME,
            kubeconfig=apiserver.kubeconfig_in_box(bed),
            forward=forward,
        ),
    )


PART = Part(
    name="coredns",
    after=("apiserver", "network"),
    prepare=_prepare,
    command=lambda bed: [
        tools.program(tools.COREDNS, "coredns"),
        "-conf",
        str(bed.folder / "node" / "Corefile"),
    ],
    ready=lambda bed: api.answers(f"http://{bed.node_ip}:{READY_PORT}/ready"),
    in_box=True,
)
