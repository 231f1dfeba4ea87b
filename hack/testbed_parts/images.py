"""The images that every cluster needs, made without a container engine and kept in the cache.

Each is one layer and a configuration, written as an OCI layout folder; `crane` pushes it.
"""

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from . import api, tools
from .part import Part
from .place import cache_folder, locked
from .processes import run

BUSYBOX = "/bin/busybox"
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
KANIKO_VERSION = "v1.24.0"


@dataclass(frozen=True)
class Image:
    name: str  # with its tag
    config: dict
    folders: tuple = ()
    files: dict = field(default_factory=dict)  # where in the image -> a Path, or its text
    links: dict = field(default_factory=dict)


def pause_image(bed):
    return f"{bed.registry}/pause:1"


def base_image(bed):
    return f"{bed.registry}/busybox:1"


def kaniko_image(bed):
    return f"{bed.registry}/kaniko:{KANIKO_VERSION}"


def _images():
    return (_pause(), _busybox(), _kaniko())


def _pause():
    """Holds a pod's namespaces, and does nothing for as long as it lives."""
    for_ever = {"Entrypoint": ["/busybox", "sleep", "2147483647"]}
    return Image("pause:1", for_ever, files={"busybox": Path(BUSYBOX)})


def _busybox():
    """Small, with a shell: a base for builds and a body for test pods."""
    applets = run([BUSYBOX, "--list"], "images").split()
    return Image(
        "busybox:1",
        {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
        folders=("etc", "root", "tmp"),
        files={
            "bin/busybox": Path(BUSYBOX),
            "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
            "etc/group": "root:x:0:\nnogroup:x:65534:\n",
        },
        links={f"bin/{applet}": "busybox" for applet in applets if applet != "busybox"},
    )


def _kaniko():
    """As its makers lay it out."""
    return Image(
        f"kaniko:{KANIKO_VERSION}",
        {
            "Entrypoint": ["/kaniko/executor"],
            "WorkingDir": "/workspace",
            "Env": [
                "HOME=/root",
                "USER=root",
                "PATH=/usr/local/bin:/kaniko",
                "SSL_CERT_DIR=/kaniko/ssl/certs",
                "DOCKER_CONFIG=/kaniko/.docker/",
            ],
        },
        folders=("kaniko/.docker", "workspace"),
        files={
            "kaniko/executor": Path(tools.program(tools.KANIKO, "executor")),
            "kaniko/ssl/certs/ca-certificates.crt": Path(AUTHORITIES),
            "etc/nsswitch.conf": "hosts: files dns\n",
        },
    )


# --- making ---


def _layout(image):
    """The folder of the finished image. Made once for everything that went into it."""
    folder = cache_folder() / "images" / f"{image.name.replace(':', '-')}-{_fingerprint(image)}"
    if not folder.is_dir():
        with locked(folder.parent):
            if not folder.is_dir():
                _make_layout(image, folder)
    return folder


def _fingerprint(image):
    digest = hashlib.sha256(repr((image.config, image.folders, image.links)).encode())
    for place, content in image.files.items():
        digest.update(place.encode() + b"\0" + hashlib.sha256(_bytes(content)).digest())
    return digest.hexdigest()[:12]


def _bytes(content):
    return content.read_bytes() if isinstance(content, Path) else content.encode()


def _make_layout(image, folder):
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    blobs = unfinished / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    layer = _layer(image)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": image.config,
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    oci = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{oci}.manifest.v1+json",
        "config": _blob(blobs, f"{oci}.config.v1+json", _json(config)),
        "layers": [_blob(blobs, f"{oci}.layer.v1.tar+gzip", gzip.compress(layer, 1, mtime=0))],
    }
    described = _blob(blobs, manifest["mediaType"], _json(manifest))
    index = {"schemaVersion": 2, "manifests": [described]}
    (unfinished / "index.json").write_bytes(_json(index))
    (unfinished / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    unfinished.rename(folder)


def _layer(image):
    """A tar archive; the same every time, as no clock and no user gets into it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for folder in sorted(_all_folders(image)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        for place, content in image.files.items():
            entry, data = tarfile.TarInfo(place), _bytes(content)
            entry.size, entry.mode = len(data), 0o755 if data.startswith(b"\x7fELF") else 0o644
            archive.addfile(entry, io.BytesIO(data))
        for place, target in image.links.items():
            entry = tarfile.TarInfo(place)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return stream.getvalue()


def _all_folders(image):
    leaves = [*image.folders, *(str(Path(place).parent) for place in (*image.files, *image.links))]
    found = {leaf for leaf in leaves if leaf != "."}
    return found | {str(parent) for leaf in found for parent in Path(leaf).parents} - {"."}


def _blob(folder, media_type, data):
    digest = _digest(data)
    (folder / digest.partition(":")[2]).write_bytes(data)
    return {"mediaType": media_type, "digest": digest, "size": len(data)}


def _digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _json(value):
    return json.dumps(value).encode()


# --- pushing ---


def _push_all(bed):
    for image in _images():
        if not _is_in_registry(bed, image):
            command = [tools.program(tools.CRANE, "crane"), "push", str(_layout(image))]
            run([*command, f"{bed.registry}/{image.name}"], f"images: pushing {image.name}", 120)


def _all_are_there(bed):
    return all(_is_in_registry(bed, image) for image in _images())


def _is_in_registry(bed, image):
    name, _, tag = image.name.partition(":")
    index = json.loads((_layout(image) / "index.json").read_text())
    described = index["manifests"][0]
    url = f"http://{bed.registry}/v2/{name}/manifests/{tag}"
    try:
        manifest = api.get(url, headers={"Accept": described["mediaType"]})
    except api.TROUBLE:
        return False
    return _digest(manifest) == described["digest"]


PART = Part(name="images", after=("registry",), prepare=_push_all, ready=_all_are_there)
