"""Leaving nothing behind, whatever happened before.

Nothing here trusts what `up` wrote down more than it must: processes are found by their marks, and
the box's mounts, interfaces, firewall rules and pods end with its processes, because they live in
namespaces that nothing else holds.
"""

import contextlib
import os
import shutil
from pathlib import Path

from . import processes
from .problem import Problem
from .waiting import wait_for


def take_down(bed):
    processes.kill_all(bed)
    if bed.read("block") is not None:
        remove_interface(bed)
    remove_cgroups(bed)
    _remove_folder(bed)


def remove_interface(bed):
    """It goes with the box, a moment later; a box that died half-made may have left it."""
    interface = Path("/sys/class/net") / bed.interface
    if interface.exists() and os.geteuid() == 0:
        with contextlib.suppress(Problem):  # the kernel was faster
            processes.run(["ip", "link", "delete", bed.interface], "network")
        wait_for(lambda: not interface.exists(), 10, f"the end of the interface {bed.interface}")


def remove_cgroups(bed):
    for top in cgroup_folders(bed):
        wait_for(lambda top=top: _remove_cgroup(top), 20, f"the removal of {top}")


def cgroup_folders(bed):
    """One a hierarchy with cgroup v1, one in all with v2."""
    root = Path("/sys/fs/cgroup")
    candidates = [root / bed.cgroup, *(folder / bed.cgroup for folder in root.glob("*"))]
    return [folder for folder in candidates if folder.is_dir()]


def _remove_cgroup(top):
    """Bottom up; the kernel refuses while a dying process is still counted there."""
    for folder, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return not top.exists()


def _remove_folder(bed):
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line.split()[4] for line in file]
    for mount in mounts:
        if mount.startswith(f"{bed.folder}/"):
            raise Problem(f"{mount} is still mounted, so {bed.folder} is not removed")
    wait_for(lambda: _is_removed(bed.folder), 20, f"the removal of {bed.folder}")
    with contextlib.suppress(OSError):
        bed.folder.parent.rmdir()  # fails while another test bed is there


def _is_removed(folder):
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()
