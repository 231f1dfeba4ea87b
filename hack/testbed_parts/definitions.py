"""CustomResourceDefinitions, from the files that stand beside the programs."""

import json

from . import kubectl

FOLDER = "crds"


def apply(bed, *groups):
    """Those of these groups of programs, until the API server serves them. May be repeated."""
    found = [definition for group in groups for definition in read(bed, group.folder / FOLDER)]
    for definition in found:
        definition["spec"].pop("conversion", None)  # by a webhook that is not here
    kubectl.apply(bed, json.dumps(as_list(found)))
    names = [f"crd/{definition['metadata']['name']}" for definition in found]
    kubectl.kubectl(bed, "wait", "--for=condition=Established", "--timeout=60s", *names)


def read(bed, folder):
    """The objects of a folder of YAML, which only kubectl reads here."""
    text = kubectl.kubectl(bed, "create", "--dry-run=client", "-o", "json", "-f", str(folder)).strip()
    objects, position = [], 0
    while position < len(text):
        found, position = json.JSONDecoder().raw_decode(text, position)
        found.pop("status", None)
        objects.append(found)
        while text[position : position + 1].isspace():
            position += 1
    return objects


def as_list(objects):
    return {"apiVersion": "v1", "kind": "List", "items": objects}
