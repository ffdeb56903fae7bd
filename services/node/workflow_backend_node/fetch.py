"""Makes a home anew whose state is fetched from peers (state sync).

A request's `action` is one of these:

- `offers` lists the states that a node offers to its peers;
- `clear` moves the old home aside, and gives up one that was pushed in part; the node is stopped;
- `first_start` says what holds for the first start of the home that was made anew then;
- `synced` ends the state sync, once the state is there;
- `proven` makes it a home like others, once all is well with it.
"""

import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from workflow_backend_node import first_start, homes, signing_state
from workflow_backend_node.requests import Object, Refused, as_json, parse, run, write_private

MOST_OFFERS = 1_000


@dataclass(frozen=True)
class HomeRequest:
    """The home."""

    action: str
    home: str


@dataclass(frozen=True)
class Started:
    """A home that was made anew, and what holds for its first start."""

    action: str
    home: str
    check_blocks: int
    state_sync: Object


@dataclass(frozen=True)
class Proven:
    """A home that is well; of those that were moved aside the newest `keep` stay."""

    action: str
    home: str
    keep: int


def answer(given: Object, check: bool) -> Object:
    """Do what the request's action says; raises `Refused`."""
    match given.get("action"):
        case "offers":
            return offers(parse(HomeRequest, given, "offers"))
        case "clear":
            return clear(parse(HomeRequest, given, "clear"), check)
        case "first_start":
            return started(parse(Started, given, "first_start"), check)
        case "synced":
            request = parse(HomeRequest, given, "synced")
            return {"changed": not check and first_start.synced(Path(request.home))}
        case "proven":
            return proven(parse(Proven, given, "proven"), check)
        case other:
            raise Refused(
                f"action is {other!r}, it must be offers, clear, first_start, synced or proven"
            )


def offers(request: HomeRequest) -> Object:
    """Return the heights and app hashes of the snapshots on offer."""
    folder = Path(request.home) / "xian" / "snapshots"
    offered = []
    for path in sorted(folder.glob("*.tar.gz.manifest.json"))[:MOST_OFFERS]:
        # One that the app can't read either is none.
        with suppress(Refused, OSError, LookupError, TypeError, ValueError):
            one = homes.read(path) or {}
            offered.append({"height": int(one["height"]), "app_hash": str(one["app_hash_hex"])})
    return {"offers": offered}


def clear(request: HomeRequest, check: bool) -> Object:
    """Move the old home aside; answer with all that were moved so far."""
    home = Path(request.home)
    if home.exists() and homes.runs(home):
        raise Refused(f"the app of {home} runs: stop the node first")
    aside = homes.aside(home) if home.exists() else None
    if not check:
        shutil.rmtree(home.with_name(homes.PUSHED), ignore_errors=True)
        if aside:
            home.rename(aside)
    return {
        "changed": [str(home)] if aside else [],
        "aside": aside and str(aside),
        "moved_aside": homes.moved_aside(home),
    }


def started(request: Started, check: bool) -> Object:
    """Say what holds for the first start, in a home without blocks."""
    home = Path(request.home)
    made = signing_state.of(home)
    if made is None:
        raise Refused(f"{home} has no {signing_state.STATE}")
    # A home that was made behind what its peers have seen vouches for what no old one can tell.
    state = homes.highest(home, seen=made if request.check_blocks else None)
    if not check:
        write_private(home / homes.FETCHING, as_json(request.state_sync))
        write_private(signing_state.place(home), as_json(state))
        homes.note_first_start(home, state, request.check_blocks, request.state_sync)
    return {"changed": [str(home / first_start.NAME)]}


def proven(request: Proven, check: bool) -> Object:
    """End what holds for a home that is being made: the next run has its data to give up."""
    home = Path(request.home)
    mark = home / homes.FETCHING
    changed = [str(mark)] if mark.exists() else []
    if not check:
        mark.unlink(missing_ok=True)
        changed += homes.prune(home, request.keep)
    return {"changed": changed, "moved_aside": homes.moved_aside(home)}


if __name__ == "__main__":
    sys.exit(run(answer))
