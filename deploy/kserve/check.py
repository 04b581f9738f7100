"""Whether KServe's own Python classes know every field of twoface.yaml.

    pip install kserve pyyaml      # in an environment of its own: its gRPC messages clash with tritonclient's
    python deploy/kserve/check.py

KServe has no schema to be had from PyPI; its classes are generated from the same Go types as its CRDs.
"""

import re
import sys
from pathlib import Path

import yaml
from kserve import models
from kubernetes import client

CLASSES = {"ServingRuntime": "V1alpha1ServingRuntime", "InferenceService": "V1beta1InferenceService"}


def main():
    documents = yaml.safe_load_all((Path(__file__).parent / "twoface.yaml").read_text())
    faults = [fault for document in documents for fault in look(document, CLASSES[document["kind"]], document["kind"])]
    print("\n".join(faults) or "every field is known")
    sys.exit(bool(faults))


def look(value, kind, path):
    """What a class of KServe or Kubernetes, by name, does not know of `value` or misses in it."""
    inner = re.fullmatch(r"list\[(.*)\]|dict\(str, (.*)\)", kind)
    if inner:
        items = enumerate(value) if isinstance(value, list) else value.items()
        for key, item in items:
            yield from look(item, inner[1] or inner[2], f"{path}[{key}]")
        return
    known = getattr(models, kind, None) or getattr(client, kind, None)
    if known is None:  # a plain value
        return
    attributes = {key: attribute for attribute, key in known.attribute_map.items()}
    for key in value.keys() - attributes.keys():
        yield f"{path}.{key} is unknown to {kind}"
    for key in value.keys() & attributes.keys():
        yield from look(value[key], known.openapi_types[attributes[key]], f"{path}.{key}")
    given = {attribute: value[key] for key, attribute in attributes.items() if key in value}
    try:
        known(**given)
    except ValueError as error:
        yield f"{path}: {error}"


if __name__ == "__main__":
    main()
