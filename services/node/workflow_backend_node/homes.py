"""The homes on a host: the node's own, one that waits beside it, and those moved aside."""

import shutil
from base64 import b64decode
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from workflow_backend_node import first_start, signing_state
from workflow_backend_node.files import json_object, read_regular_file
from workflow_backend_node.first_start import FirstStart
from workflow_backend_node.identity import VALIDATOR_KEY
from workflow_backend_node.requests import Object, Refused
from workflow_backend_node.toml import read_toml
from workflow_backend_node.unfinished_restore import JOURNAL
from workflow_backend_node.unix_sockets import listener

PUSHED = ".cometbft.pushed"
MARK = "pushed.json"
FETCHING = "fetching.json"
"""In a home that was made anew for a state of its peers, until all is proven to be well with it."""
ASIDE = ".cometbft.before-recovery"

_LARGEST = 64 << 20


def status(home: Path) -> Object:
    """Return what is there."""
    public_key = None
    with suppress(Refused, ValueError, LookupError, TypeError):
        key = read(home / "config" / VALIDATOR_KEY) or {}
        public_key = b64decode(key["pub_key"]["value"]).hex()
    states, unreadable = _signed(home)
    own = None
    with suppress(Refused):
        own = signing_state.of(home)
    return {
        "home": home.exists(),
        "blocks": has_blocks(home),
        "signed": own,
        "highest": int(signing_state.highest(states)["height"]),
        "unreadable": unreadable,
        "public_key": public_key,
        "running": home.exists() and runs(home),
        "pushed": mark(home),
        "fetching": (home / FETCHING).exists(),
        "restoring": (home.parent / JOURNAL).exists(),
        "free": shutil.disk_usage(_there(home)).free,
    }


def _there(path: Path) -> Path:
    return path if path.exists() else _there(path.parent)


def highest(home: Path, *others: Path, seen: Object | None = None) -> Object:
    """The signing state that holds: of all homes that are here, those moved aside too, and seen.

    One that can't be read is as lost as one that is missing where peers have seen the chain: what
    they have seen is behind all that it could tell. Raises `Refused` for it otherwise.
    """
    states, unreadable = _signed(home, *others)
    if unreadable and not seen:
        raise Refused("; ".join(unreadable))
    return signing_state.highest([*states, *([seen] if seen else [])])


def _signed(home: Path, *others: Path) -> tuple[list[Object], list[str]]:
    """The signing states of all homes that are here, and what is wrong with the others."""
    states, wrong = [], []
    for one in (home, *others, *_moved_aside(home)):
        try:
            state = signing_state.of(one)
        except Refused as error:
            wrong.append(str(error))
        else:
            states += [state] if state else []
    return states, wrong


def has_blocks(home: Path) -> bool:
    """Whether a home has a block store, even an empty one."""
    return (home / "data" / "blockstore.db").exists()


def note_first_start(home: Path, state: Object, check_blocks: int, state_sync: Object) -> None:
    """Write what the first start of a home with this signing state has to check."""
    if check_blocks or state_sync:
        first_start.write(home, FirstStart(int(state["height"]), check_blocks, state_sync))


def refuse_half_pushed(home: Path) -> None:
    """Raise `Refused` while a home waits beside its place and there is none in it."""
    if not home.exists() and mark(home):
        raise Refused(
            f"{home.with_name(PUSHED)} was to be put in the place of {home}, and was cut short: "
            "run push-home.yml again"
        )


def aside(home: Path) -> Path:
    """A new place beside a home for what was there."""
    return home.with_name(f"{ASIDE}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")


def moved_aside(home: Path) -> list[str]:
    """All that were moved aside on this host, the oldest first: a run cut short leaves one too."""
    return [str(one) for one in _moved_aside(home)]


def prune(home: Path, keep: int) -> list[str]:
    """Remove all that were moved aside but the newest; one at least stays.

    The home in its place has to hold the highest that any of them has signed, as it does once it
    was written by `highest`. Returns what was removed.
    """
    removed = _moved_aside(home)[: -max(keep, 1)]
    for one in removed:
        gone = one.with_name(f".removed.{one.name}")  # half of one is not a home that signed
        one.rename(gone)
        shutil.rmtree(gone)
    for left in home.parent.glob(".removed.*"):
        shutil.rmtree(left)
    return [str(one) for one in removed]


def _moved_aside(home: Path) -> list[Path]:
    return sorted(home.parent.glob(f"{ASIDE}-*"))


def mark(home: Path) -> Object | None:
    """What waits beside a home to be put in its place, whole; None where nothing does."""
    return read(home.with_name(PUSHED) / MARK)


def read(path: Path) -> Object | None:
    """Read a JSON file; None where there is none."""
    try:
        return json_object(read_regular_file(path, _LARGEST), str(path))
    except FileNotFoundError, NotADirectoryError:
        return None


def runs(home: Path) -> bool:
    """Whether the app of a home listens; a home that can't tell has none that runs."""
    path = home / "config" / "config.toml"
    if not path.is_file():
        return False
    socket = str(read_toml(path).get("proxy_app", "")).removeprefix("unix://")
    return listener(socket) is not None
