"""kubectl, for what a GET does not do."""

from . import apiserver, tools
from .processes import clean_environment, run

SECONDS = 120  # for many objects on a busy machine


def kubectl(bed, *words, stdin=None):
    """Returns what it printed; raises a Problem if it fails."""
    given = {"input": stdin} if stdin is not None else {}
    environment = clean_environment(bed) | {"KUBECONFIG": apiserver.kubeconfig(bed)}
    program = tools.program(tools.KUBERNETES, "kubectl")
    return run([program, *words], f"kubectl {words[0]}", SECONDS, env=environment, **given)


def apply(bed, manifest):
    """May be repeated; what another program changed in these objects is put right."""
    kubectl(bed, "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)
