"""The actions of `workflow-backend snapshots`, by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from ...settings import Settings
from ..network.app_hashes import AppHashQuestion, agree
from ..requests import Object, Request, parse
from . import (
    admit,
    choose,
    create,
    drill,
    heights,
    prepare_restore,
    projection,
    retention,
    swap,
    verify,
)


class Listing(Request):
    """A folder of snapshots."""

    directory: Path


def listing(request: Listing, *, check: bool) -> Object:
    """List the snapshots of a folder, the newest first."""
    del check
    return {
        "snapshots": [
            {
                "path": str(one.path),
                "height": one.manifest.height,
                "made_at": one.manifest.made_at,
                "host": one.manifest.host,
                "bytes": sum(part.size for part in one.manifest.files.values()),
                "files": {name: part.size for name, part in one.manifest.files.items()},
                "signed": one.signed,
                "verified": one.verified,
            }
            for one in retention.kept(request.directory)
        ]
    }


class Prune(Listing):
    """A folder of snapshots of which the newest `keep` stay, and the newest that was verified."""

    keep: Annotated[int, Field(ge=1)]


def prune(request: Prune, *, check: bool) -> Object:
    """Remove all snapshots of a folder but the newest, and the newest that was verified."""
    superfluous = retention.superfluous(retention.kept(request.directory), request.keep)
    return {
        "changed": [str(one.path) for one in superfluous if check or retention.remove(one.path)]
    }


# What needs neither the chain's settings nor the projection's.
_PLAIN: dict[str, tuple[type[Request], Callable[..., Object]]] = {
    "list": (Listing, listing),
    "prune": (Prune, prune),
    "verify": (verify.Verify, verify.verify),
    "sign": (verify.Sign, verify.sign),
    "admit": (admit.Admit, admit.admit),
    "countersign": (admit.Countersign, admit.countersign),
    "agree": (AppHashQuestion, agree),
    "drill": (drill.Drill, drill.drill),
    "choose": (choose.Choose, choose.choose),
    "prepare": (prepare_restore.Restore, prepare_restore.prepare),
    "status": (prepare_restore.Step, prepare_restore.status),
    "swap": (prepare_restore.Step, swap.swap),
    "undo": (prepare_restore.Step, swap.undo),
    "finish": (prepare_restore.Step, swap.finish),
}
_WITH_SETTINGS: dict[str, tuple[type[Request], Callable[..., Object]]] = {
    "make": (create.Create, create.create),
    "levels": (heights.HeightsRequest, heights.heights),
    "projection": (projection.Restore, projection.restore),
}


ACTIONS = _PLAIN | _WITH_SETTINGS


def act(action: str, request: dict[str, Any], *, check: bool) -> Object:
    """Do what a request asks; raises WorkflowError."""
    if action in _PLAIN:
        kind, run = _PLAIN[action]
        return run(parse(kind, request, action), check=check)
    kind, run = _WITH_SETTINGS[action]
    return run(Settings.load(), parse(kind, request, action), check=check)
