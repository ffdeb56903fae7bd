"""The parts of a release as a CycloneDX document: what is in it, and under which licence."""

import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from .manifest import Manifest

NAME = "sbom.cdx.json"
_SPACE = uuid.UUID("5f0a4dd0-6a6f-4c55-9d5c-0e4a4c1f7b7e")

type Component = dict[str, Any]


def describe(head: Manifest, go_modules: list[tuple[str, str, str]], cometbft_sha256: str) -> str:
    """Return the document of the release that `head` describes, the same one each time."""
    components = {part["bom-ref"]: part for part in _parts(head, go_modules, cometbft_sha256)}
    own = {
        "type": "application",
        "bom-ref": "release",
        "name": "workflow-backend release",
        "version": head["id"],
    }
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_SPACE, head['id'])}",
        "version": 1,
        "metadata": {"component": own},
        "components": [components[name] for name in sorted(components)],
        "dependencies": [{"ref": "release", "dependsOn": sorted(components)}],
    }
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _parts(
    head: Manifest, go_modules: list[tuple[str, str, str]], cometbft_sha256: str
) -> Iterator[Component]:
    for packages in (*head["environments"].values(), head["tools"].values()):
        for package in packages:
            yield _python_package(package)
    python = head["python"]
    for file, digest in python["packages"].items():
        yield _debian_package(file, digest)
    if not python["packages"]:
        yield _component("cpython", python["version"], "generic", sha256=python["sha256"])
    built = head["cometbft"]
    yield _component(built["module"], built["version"], "golang", "application", cometbft_sha256)
    for module, version, checksum in go_modules:
        # Go's own sum of a module is none of the kinds that a document of this form knows.
        known = {"properties": [{"name": "go.sum", "value": checksum}]} if checksum else {}
        yield _component(module, version, "golang") | known


def _python_package(package: dict[str, str]) -> Component:
    component = _component(package["name"], package["version"], "pypi", sha256=package["sha256"])
    if "licence_expression" in package:
        component["licenses"] = [{"expression": package["licence_expression"]}]
    elif "licence" in package:
        component["licenses"] = [{"license": {"name": package["licence"]}}]
    return component


def _debian_package(file: str, digest: str) -> Component:
    name, version, architecture = file.removesuffix(".deb").split("_")
    component = _component(name, version.replace("%3a", ":"), "deb/debian", sha256=digest)
    purl = f"{component['purl']}?arch={architecture}"
    return {**component, "purl": purl, "bom-ref": purl}


def _component(
    name: str, version: str, kind: str, what: str = "library", sha256: str = ""
) -> Component:
    purl = f"pkg:{kind}/{quote(name, safe='/')}@{quote(version, safe='')}"
    hashes = {"hashes": [{"alg": "SHA-256", "content": sha256}]} if sha256 else {}
    return {"type": what, "bom-ref": purl, "name": name, "version": version, "purl": purl, **hashes}
