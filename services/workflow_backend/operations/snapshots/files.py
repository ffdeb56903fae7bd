"""The files of a snapshot, on the disk."""

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

from ...errors import RecoveryRefused
from .manifest import MANIFEST, SIGNATURES, VERIFIED, FilePart, Manifest

_ANOTHER = "copy it again from where it was made, or use another one"


def measure(path: Path) -> FilePart:
    """Return size and sum of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return FilePart(size=file.tell(), sha256=digest.hexdigest())


def require_plain(folder: Path) -> None:
    """Raise RecoveryRefused where a snapshot's folder holds anything but plain files."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise RecoveryRefused(
            f"there is no snapshot {folder}: {error.strerror}",
            hint="give the folder that holds its manifest.json; those of a host are in "
            "/var/lib/workflow-backend/snapshots",
        ) from error
    for path in entries:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise RecoveryRefused(f"{path} is not a regular file", hint=_ANOTHER)


def require_same(folder: Path, manifest: Manifest) -> None:
    """Raise RecoveryRefused where the files are not those of the manifest."""
    known = {MANIFEST, SIGNATURES, VERIFIED, *manifest.files}
    strangers = sorted(path.name for path in folder.iterdir() if path.name not in known)
    if strangers:
        raise RecoveryRefused(
            f"{folder} holds {', '.join(strangers)}, of which its manifest says nothing",
            hint=_ANOTHER,
        )
    for name, part in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise RecoveryRefused(f"{path} is missing", hint=_ANOTHER)
        size = path.stat().st_size
        if size != part.size:
            kind = "truncated" if size < part.size else "too long"
            raise RecoveryRefused(
                f"{path} is {kind}: it has {size} bytes, not {part.size}", hint=_ANOTHER
            )
    for name, part in manifest.files.items():
        found = measure(folder / name).sha256
        if found != part.sha256:
            raise RecoveryRefused(
                f"{folder / name} has the sum {found}, not {part.sha256}", hint=_ANOTHER
            )


def write(path: Path, text: str) -> None:
    """Replace a file as a whole, on the disk when this returns."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Replace a file by one with this value."""
    write(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
