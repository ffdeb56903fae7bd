"""Which snapshots of a folder stay."""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...errors import RecoveryRefused
from .locks import try_exclusive_lock
from .manifest import SIGNATURES, VERIFIED, Manifest, parse_manifest, read_manifest

MAKING = ".making-"
"""How the name of a snapshot begins that is not whole."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A snapshot that lies in the folder; `verified` where it was, as a whole."""

    path: Path
    manifest: Manifest
    signed: bool
    verified: bool


def kept(directory: Path) -> list[Kept]:
    """Return the snapshots in a folder, the newest first; others' files are left out."""
    found = []
    for path in directory.iterdir() if directory.is_dir() else ():
        if path.name.startswith(".") or path.is_symlink() or not path.is_dir():
            continue
        with suppress(RecoveryRefused):
            manifest = parse_manifest(read_manifest(path), path)
            found.append(
                Kept(path, manifest, (path / SIGNATURES).is_file(), (path / VERIFIED).is_file())
            )
    return sorted(found, key=lambda one: (one.manifest.height, one.manifest.made_at), reverse=True)


def superfluous(snapshots: list[Kept], keep: int, needed: Path | None = None) -> list[Kept]:
    """Return those behind the newest `keep`, but for the newest that was verified.

    One that is `needed`, by a restore that was cut short, stays as well.
    """
    verified = next((one for one in snapshots if one.verified), None)
    return [one for one in snapshots[max(keep, 1) :] if one is not verified and one.path != needed]


def remove(snapshot: Path) -> bool:
    """Remove one, unless somebody holds it; tell whether it is gone.

    A removal that is cut short leaves nothing that looks like a snapshot.
    """
    with try_exclusive_lock(snapshot) as is_free:
        if is_free:
            half = snapshot.with_name(f"{MAKING}{snapshot.name}")
            snapshot.rename(half)
            shutil.rmtree(half)
    return is_free


def remove_halves(directory: Path) -> None:
    """Remove what was being made or removed when somebody was killed."""
    for path in directory.glob(f"{MAKING}*"):
        shutil.rmtree(path)
