"""What `workflow-backend snapshots` does, by the name of the action."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from ...settings import Settings
from ..asking import Object, Request, parse
from . import (
    admitting,
    choosing,
    drill,
    levels,
    making,
    peers,
    projection,
    restoring,
    retention,
    swapping,
    verifying,
)


class Listing(Request):
    """A folder of snapshots."""

    directory: Path


def listing(wanted: Listing, *, check: bool) -> Object:
    """Return the snapshots of a folder, the newest first."""
    del check
    return {
        "snapshots": [
            {
                "path": str(one.path),
                "height": one.manifest.height,
                "made_at": one.manifest.made_at,
                "host": one.manifest.host,
                "bytes": sum(part.size for part in one.manifest.files.values()),
                "files": sorted(one.manifest.files),
                "signed": one.signed,
                "verified": one.verified,
            }
            for one in retention.kept(wanted.directory)
        ]
    }


class Prune(Listing):
    """A folder of snapshots of which the newest `keep` stay, and the newest that was verified."""

    keep: Annotated[int, Field(ge=1)]


def prune(wanted: Prune, *, check: bool) -> Object:
    """Remove the others."""
    superfluous = retention.superfluous(retention.kept(wanted.directory), wanted.keep)
    return {
        "changed": [str(one.path) for one in superfluous if check or retention.remove(one.path)]
    }


# What needs neither the chain's settings nor the projection's.
_PLAIN: dict[str, tuple[type[Request], Callable[..., Object]]] = {
    "list": (Listing, listing),
    "prune": (Prune, prune),
    "verify": (verifying.Verify, verifying.verify),
    "sign": (verifying.Sign, verifying.sign),
    "admit": (admitting.Admit, admitting.admit),
    "countersign": (admitting.Countersign, admitting.countersign),
    "agree": (peers.Agree, peers.agree),
    "drill": (drill.Drill, drill.drill),
    "choose": (choosing.Choose, choosing.choose),
    "prepare": (restoring.Restore, restoring.prepare),
    "status": (restoring.Step, restoring.status),
    "swap": (restoring.Step, swapping.swap),
    "undo": (restoring.Step, swapping.undo),
    "finish": (restoring.Step, swapping.finish),
}
_WITH_SETTINGS: dict[str, tuple[type[Request], Callable[..., Object]]] = {
    "make": (making.Make, making.make),
    "levels": (levels.Levels, levels.levels),
    "projection": (projection.Restore, projection.restore),
}


ACTIONS = (*_PLAIN, *_WITH_SETTINGS)


def act(action: str, request: dict[str, Any], *, check: bool) -> Object:
    """Do what a request asks; raises WorkflowError."""
    if action in _PLAIN:
        kind, run = _PLAIN[action]
        return run(parse(kind, request, action), check=check)
    kind, run = _WITH_SETTINGS[action]
    return run(Settings.load(), parse(kind, request, action), check=check)
