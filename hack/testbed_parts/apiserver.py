"""The API server, and the kubeconfigs by which it is reached."""

import base64
from pathlib import Path

from . import api, certificates, etcd, tools
from .part import Part


def kubeconfig(bed):
    """For this machine."""
    return str(bed.folder / "kubeconfig")


def kubeconfig_in_box(bed):
    """For what runs inside the node's box, where 127.0.0.1 is somebody else."""
    return str(bed.folder / "kubeconfig-in-box")


def _prepare(bed):
    bed.write("tokens.csv", f"{bed.secret('admin-token')},admin,1,system:masters\n")
    _write_kubeconfig(bed, kubeconfig(bed), bed.api_url)
    _write_kubeconfig(bed, kubeconfig_in_box(bed), f"https://{bed.host_ip}:{bed.port('apiserver')}")


def _write_kubeconfig(bed, path, server):
    authority = base64.b64encode(Path(certificates.path(bed, "ca.crt")).read_bytes()).decode()
    bed.write(
        path,
        f"""\
apiVersion: v1
kind: Config
current-context: testbed
clusters:
- name: testbed
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: admin
  user:
    token: {bed.secret("admin-token")}
contexts:
- name: testbed
  context:
    cluster: testbed
    user: admin
""",
    )


def _command(bed):
    return [
        tools.program(tools.KUBERNETES, "kube-apiserver"),
        f"--etcd-servers={etcd.client_url(bed)}",
        # Reached from this machine at 127.0.0.1 and from a node's pods at the host's address,
        # which need not exist yet.
        f"--bind-address={bed.listen_address}",
        f"--secure-port={bed.port('apiserver')}",
        f"--advertise-address={bed.host_ip}",
        f"--service-cluster-ip-range={bed.service_network}",
        f"--tls-cert-file={certificates.path(bed, 'apiserver.crt')}",
        f"--tls-private-key-file={certificates.path(bed, 'apiserver.key')}",
        f"--client-ca-file={certificates.path(bed, 'ca.crt')}",
        f"--cert-dir={bed.subfolder('work', 'apiserver')}",
        f"--token-auth-file={bed.folder / 'tokens.csv'}",
        f"--service-account-key-file={certificates.path(bed, 'service-account.key')}",
        f"--service-account-signing-key-file={certificates.path(bed, 'service-account.key')}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        f"--kubelet-client-certificate={certificates.path(bed, 'kubelet-client.crt')}",
        f"--kubelet-client-key={certificates.path(bed, 'kubelet-client.key')}",
        "--kubelet-preferred-address-types=InternalIP",
        # Else it holds on to open watches for a minute before it leaves.
        "--shutdown-watch-termination-grace-period=2s",
    ]


PART = Part(
    name="apiserver",
    after=("certificates", "etcd"),
    prepare=_prepare,
    command=_command,
    ready=lambda bed: api.kubernetes_answers(bed, "/readyz"),
    ports=("apiserver",),
)
