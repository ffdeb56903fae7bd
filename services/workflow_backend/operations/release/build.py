"""Building a release from a clone."""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import WorkflowError
from . import archive, golang, manifest, sbom

type Report = dict[str, Any]

LATEST = "latest.json"
COMPATIBLE = "consensus_compatible_with"
_PARTS = Path("setup/release.py")


class NoClone(WorkflowError):
    """This is not a folder of a clone, and a release is built from one."""

    hint = "change to the clone of the workflow backend"


class NotBuilt(WorkflowError):
    """The parts of the release could not be made; the line above says why."""


def build(
    start: Path, out: Path | None, root: Path, keep: int, agrees_with: Sequence[str] = ()
) -> Report:
    """Build the release of the clone around `start` into `out`, by default the clone's `dist`.

    It will work in the folder `root` of a host, and in no other. `agrees_with` declares by their
    ids releases with another app, VM or CometBFT that nodes may run beside this one.

    Writes ID.tar.gz, then ID.json, which says what a host needs to know of it, then lets
    latest.json point at that; of earlier ones the last `keep` stay. Returns what it built, or found
    built. Progress goes to standard error.
    """
    clone = find_clone(start)
    out = (out or clone / "dist").absolute()
    with _one_at_a_time(clone):
        stage = clone / ".cache" / "release" / "stage"
        _lay_out(clone, stage, root)
        out.mkdir(parents=True, exist_ok=True)
        built = _pack(stage, out, agrees_with)
        _prune(out, keep)
        return built


def find_clone(start: Path) -> Path:
    """The folder of the clone that `start` is in. Raises NoClone."""
    for folder in (start, *start.parents):
        if (folder / _PARTS).is_file():
            return folder
    raise NoClone


@contextmanager
def _one_at_a_time(clone: Path) -> Iterator[None]:
    cache = clone / ".cache" / "release"
    cache.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(cache / "lock", os.O_WRONLY | os.O_CREAT, 0o644), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lay_out(clone: Path, stage: Path, root: Path) -> None:
    command = [sys.executable, *map(str, (clone / _PARTS, stage, root))]
    done = subprocess.run(command, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise NotBuilt


def _pack(stage: Path, out: Path, agrees_with: Sequence[str] = ()) -> Report:
    head = json.loads(stage.with_name(f"{stage.name}.json").read_text(encoding="utf-8"))
    cometbft = stage / "bin" / "cometbft"
    listed = sbom.describe(head, golang.modules(cometbft), manifest.file_digest(cometbft))
    (stage / sbom.NAME).write_text(listed, encoding="utf-8")
    listing = stage / manifest.NAME
    listing.write_text(manifest.as_text(manifest.describe(stage, head)), encoding="utf-8")

    packed, beside = out / f"{head['id']}.tar.gz", out / f"{head['id']}.json"
    digest = manifest.file_digest(listing)
    description = _earlier(beside, packed, digest)
    if description is None:
        began = time.monotonic()
        archive.pack(stage, packed)
        print(f"{packed.name} packed ({time.monotonic() - began:.1f} s)", file=sys.stderr)
        description = {
            "id": head["id"],
            "version": head["version"],
            "path": head["path"],
            "versions": _versions(head),
            COMPATIBLE: [],
            "archive": packed.name,
            "sha256": manifest.file_digest(packed),
            "manifest_sha256": digest,
            "bytes": packed.stat().st_size,
            "unpacked_bytes": _size(stage),
        }
    description = _declare(description, agrees_with)
    _write(beside, json.dumps(description, indent=2, sort_keys=True) + "\n")
    _point(out / LATEST, beside.name)
    return {
        "id": head["id"],
        "archive": str(packed),
        "sha256": description["sha256"],
        "description": str(beside),
    }


def _declare(description: Report, agrees_with: Sequence[str]) -> Report:
    """Add what is declared; what an earlier build of the same content declared stays.

    It is no part of the content, so it can be declared of a release once it is known.
    """
    declared = {*description.get(COMPATIBLE, ()), *agrees_with}
    return description | {COMPATIBLE: sorted(declared)}


def _earlier(beside: Path, packed: Path, digest: str) -> Report | None:
    """What an earlier build wrote, where its archive is still there and as it was."""
    try:
        description: Report = json.loads(beside.read_text(encoding="utf-8"))
        same = description["manifest_sha256"] == digest
        return (
            description if same and manifest.file_digest(packed) == description["sha256"] else None
        )
    except OSError, ValueError, KeyError:
        return None


def _versions(head: manifest.Manifest) -> dict[str, str]:
    """The versions that people ask for, by name."""
    packages = [package for held in head["environments"].values() for package in held]
    packages += head["tools"].values()
    return {
        **{package["name"]: package["version"] for package in packages},
        "cometbft": head["cometbft"]["version"],
        "python": head["python"]["version"],
    }


def _size(folder: Path) -> int:
    files = (path for path in folder.rglob("*") if not path.is_symlink() and path.is_file())
    return sum(path.stat().st_size for path in files)


def _prune(out: Path, keep: int) -> None:
    """Remove the oldest releases beyond `keep` and the last one; other files stay."""
    latest = (out / LATEST).resolve()
    built = [path for path in out.glob("*.json") if path.with_suffix(".tar.gz").is_file()]
    built = [path for path in built if not path.is_symlink() and path != latest]
    built.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in built[keep:]:
        path.unlink()
        path.with_suffix(".tar.gz").unlink()


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def _point(link: Path, target: str) -> None:
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
