"""Which snapshot a restore is of: the one that is asked for, or the one in progress."""

from pathlib import Path
from typing import Any

from ...errors import RecoveryRefused
from ..requests import Request
from . import retention
from .journal import Entry, Journal
from .manifest import Digest

type Object = dict[str, Any]


class Uploaded(Request):
    """A snapshot of the control machine: where it comes to lie on the host, and what tells it."""

    path: Path
    digest: Digest


class Choose(Request):
    """What is asked for on a host: a name in `directory` or a path, or what is uploaded.

    With neither it is the one in progress, else the newest. `undo` asks for the old state.
    """

    home: Path
    directory: Path
    name: str = ""
    uploaded: Uploaded | None = None
    undo: bool = False


def choose(request: Choose, *, check: bool) -> Object:
    """Select the snapshot to restore, or the restore to continue or undo.

    Raises RecoveryRefused where there is none, and where one that has begun to change the home is
    of another snapshot: that one comes to its end first.
    """
    del check  # nothing is changed
    entry = Journal(request.home).read()
    back = request.undo or (entry is not None and entry.phase == "undoing")
    return {
        "restore": entry.model_dump(mode="json") if entry else None,
        "undo": back,
        "snapshot": None if back else str(_chosen(request, entry)),
    }


def _chosen(request: Choose, entry: Entry | None) -> Path:
    asked = request.uploaded.path if request.uploaded else _named(request)
    if entry is not None and entry.phase != "prepared":
        if not _is_of(entry, request, asked):
            raise RecoveryRefused(
                f"the restore of {entry.name} was begun at {entry.begun_at} and not finished, "
                f"and another snapshot is asked for, {asked}",
                hint=f"finish it first (-e snapshots_name={entry.snapshot}), or undo it "
                "(-e snapshots_undo=true)",
            )
        return entry.snapshot
    if asked is None and entry is not None:
        return entry.snapshot
    newest = next((one.path for one in retention.kept(request.directory)), None)
    found = asked or newest
    if found is None:
        raise RecoveryRefused(
            f"there is no snapshot in {request.directory}",
            hint="give one of the control machine, -e snapshots_from=FOLDER, or another way back: "
            "bootstrap-state-sync.yml, push-home.yml",
        )
    return found


def _named(request: Choose) -> Path | None:
    return request.directory / request.name if request.name else None


def _is_of(entry: Entry, request: Choose, asked: Path | None) -> bool:
    if request.uploaded:
        return request.uploaded.digest == entry.digest
    return asked is None or asked == entry.snapshot
