"""Disks: each file system of a host has room for all that is put onto it."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from ..disks import ENOUGH_BYTES, LEAST_BYTES
from .findings import Finding, Level
from .inventory import Host, Release

GIB = 1 << 30

FILES = 20_000
"""Files that a release has, about, and that a node's database makes in months."""


def check(host: Host, seen: Mapping[str, Any], release: Release) -> Iterator[Finding]:
    """Compare the room of each file system with what a deployment needs there."""
    paths = list(seen["places"])
    if not host.systemd or release.name in seen["releases"]:
        paths.remove(seen["release"])  # it is there already, or there will be none
    systems: dict[int, list[str]] = {}
    for path in paths:
        systems.setdefault(seen["places"][path]["device"], []).append(path)
    for on in systems.values():
        room = seen["places"][on[0]]
        data = [path for path in on if path != seen["release"]]
        needed = LEAST_BYTES * bool(data) + release.needs * (seen["release"] in on)
        wished = needed + (ENOUGH_BYTES - LEAST_BYTES) * bool(data)
        names = " and ".join(outermost(on))
        if room["free"] < wished:
            short = room["free"] < needed
            yield Finding(
                "disk",
                (host.name,),
                f"{room['free'] / GIB:.1f} GiB are free for {names}",
                f"{(needed if short else wished) / GIB:.1f} GiB are "
                f"{'needed' if short else 'better'}: a full disk stops a node",
                Level.PROBLEM if short else Level.WARNING,
            )
        files = FILES * (bool(data) + (seen["release"] in on))
        if room["inodes"] and room["inodes_free"] < files:
            yield Finding(
                "disk",
                (host.name,),
                f"the file system of {names} has room for {room['inodes_free']} files more",
                f"{files} are needed: remove small files, or create it with more inodes",
            )


def outermost(paths: list[str]) -> list[str]:
    """Leave out those that are below another one."""
    pure = {path: PurePosixPath(path) for path in paths}
    return [
        path
        for path in paths
        if not any(other != path and pure[path].is_relative_to(other) for other in paths)
    ]
