"""File systems: each one that a host's data lies on, once, with what lies there."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LEAST_BYTES = 1 << 30
"""A file system with less room than this is full: what writes to it may stop at any time."""

ENOUGH_BYTES = 5 << 30
"""A file system with less room than this is filling up."""


@dataclass(frozen=True, slots=True)
class FileSystem:
    """Where a file system is mounted, what lies on it by name, and its room.

    `free` is in bytes; `files` is how many files more it takes, None where it has no such limit.
    """

    mount: Path
    names: tuple[str, ...]
    free: int
    files: int | None


def file_systems(places: Mapping[str, Path]) -> list[FileSystem]:
    """Return the file system of each folder, once each; a folder may be one that is to come."""
    names: dict[int, list[str]] = {}
    found: dict[int, Path] = {}
    for name, path in places.items():
        there = _there(path)
        device = there.stat().st_dev
        names.setdefault(device, []).append(name)
        found.setdefault(device, there)
    return [_measured(path, tuple(names[device])) for device, path in found.items()]


def _measured(path: Path, names: tuple[str, ...]) -> FileSystem:
    room = os.statvfs(path)
    files = room.f_favail if room.f_files else None
    return FileSystem(_mount(path), names, room.f_bavail * room.f_frsize, files)


def _there(path: Path) -> Path:
    """The nearest folder that is there and that this account may look at."""
    for folder in (path, *path.parents):
        if folder.exists():
            return folder
    return Path("/")


def _mount(path: Path) -> Path:
    path = path.resolve()
    device = path.stat().st_dev
    while path.parent.stat().st_dev == device and path != path.parent:
        path = path.parent
    return path
