"""A home that is made anew, and whose state is fetched from peers.

A request's `action` is one of these:

- `offers` tells which states a node has on offer for its peers;
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
from workflow_backend_node.asking import Object, Refused, as_json, parse, run, write_private

MOST_OFFERS = 1_000


@dataclass(frozen=True)
class Look:
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


def answer(request: Object, check: bool) -> Object:
    """Do what the request's action says; raises `Refused`."""
    match request.get("action"):
        case "offers":
            return offers(parse(Look, request, "offers"))
        case "clear":
            return clear(parse(Look, request, "clear"), check)
        case "first_start":
            return started(parse(Started, request, "first_start"), check)
        case "synced":
            wanted = parse(Look, request, "synced")
            return {"changed": not check and first_start.synced(Path(wanted.home))}
        case "proven":
            return proven(parse(Proven, request, "proven"), check)
        case other:
            raise Refused(
                f"action is {other!r}, wanted offers, clear, first_start, synced or proven"
            )


def offers(wanted: Look) -> Object:
    """Tell the heights and app hashes of the snapshots on offer."""
    folder = Path(wanted.home) / "xian" / "snapshots"
    found = []
    for path in sorted(folder.glob("*.tar.gz.manifest.json"))[:MOST_OFFERS]:
        # One that the app can't read either is none.
        with suppress(Refused, OSError, LookupError, TypeError, ValueError):
            one = homes.read(path) or {}
            found.append({"height": int(one["height"]), "app_hash": str(one["app_hash_hex"])})
    return {"offers": found}


def clear(wanted: Look, check: bool) -> Object:
    """Move the old home aside; answer with all that were moved so far."""
    home = Path(wanted.home)
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


def started(wanted: Started, check: bool) -> Object:
    """Say what holds for the first start, in a home without blocks."""
    home = Path(wanted.home)
    made = signing_state.of(home)
    if made is None:
        raise Refused(f"{home} has no {signing_state.STATE}")
    # A home that was made behind what its peers have seen vouches for what no old one can tell.
    state = homes.highest(home, seen=made if wanted.check_blocks else None)
    if not check:
        write_private(home / homes.FETCHING, as_json(wanted.state_sync))
        write_private(signing_state.place(home), as_json(state))
        homes.say_first_start(home, state, wanted.check_blocks, wanted.state_sync)
    return {"changed": [str(home / first_start.NAME)]}


def proven(wanted: Proven, check: bool) -> Object:
    """End what holds for a home that is being made: the next run has its data to give up."""
    home = Path(wanted.home)
    mark = home / homes.FETCHING
    changed = [str(mark)] if mark.exists() else []
    if not check:
        mark.unlink(missing_ok=True)
        changed += homes.prune(home, wanted.keep)
    return {"changed": changed, "moved_aside": homes.moved_aside(home)}


if __name__ == "__main__":
    sys.exit(run(answer))
