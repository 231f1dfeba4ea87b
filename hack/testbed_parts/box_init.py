"""The first process of the box: furnishes it, then buries what dies in it. A program of its own.

usage: box_init.py STATE_FOLDER CACHE_FOLDER     (by unshare, as process 1 of new namespaces)

Inside, everything lies where a node expects it by default, so that the node's programs need few
settings; but it is not the machine's.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

# Empty here; the machine's own stays unseen and untouched.
FRESH = ("/run", "/var/lib", "/var/log")

# The kubelet insists on these, and would set them for the whole machine. It is shown a copy that
# has them already.
KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


def main(state, cache):
    os.chdir("/")
    mount("--make-rshared", "/")
    make_fresh_folders(keep=(state, cache))
    put_large_folders_on_disk(state)
    if (state / "node" / "resolv.conf").exists():
        mount("--bind", state / "node" / "resolv.conf", "/etc/resolv.conf")
    show_kernel_settings()
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")  # of this network namespace only
    (state / "node" / "box-ready").touch()
    bury_the_dead()


def make_fresh_folders(keep):
    handles = {path: os.open(path, os.O_RDONLY) for path in keep if path.exists()}
    for folder in FRESH:
        mount("-t", "tmpfs", "-o", "mode=0755", "testbed", folder)
    for path, handle in handles.items():
        if not path.exists():  # it lay in one of them
            path.mkdir(parents=True)
            mount("--bind", f"/proc/{os.getpid()}/fd/{handle}", path)
        os.close(handle)


def put_large_folders_on_disk(state):
    for name, place in {
        "containerd": "/var/lib/containerd",
        "kubelet": "/var/lib/kubelet",
        "pods": "/var/log/pods",
    }.items():
        Path(place).mkdir(parents=True)
        mount("--bind", state / "node" / name, place)


def show_kernel_settings():
    for name, value in KERNEL_SETTINGS.items():
        shown = Path("/run/kernel-settings", name.replace("/", "."))
        shown.parent.mkdir(exist_ok=True)
        shown.write_text(value + "\n")
        mount("--bind", shown, f"/proc/sys/{name}")


def mount(*words):
    subprocess.run(["mount", *map(str, words)], check=True)


def bury_the_dead():
    """Containers' helpers outlive their parents; process 1 inherits them and hears of their end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    while True:
        signal.sigwait([signal.SIGCHLD])
        while a_dead_one_was_buried():
            pass


def a_dead_one_was_buried():
    try:
        return os.waitpid(-1, os.WNOHANG) != (0, 0)
    except ChildProcessError:
        return False


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
