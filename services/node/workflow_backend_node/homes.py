"""Homes on a host: the node's own, one that waits beside it, and those that were moved aside."""

import json
import shutil
from base64 import b64decode
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from workflow_backend_node import first_start
from workflow_backend_node.asking import Object, Refused
from workflow_backend_node.comet import listener
from workflow_backend_node.first_start import FirstStart
from workflow_backend_node.half_restored import JOURNAL
from workflow_backend_node.identity import STATE, VALIDATOR_KEY
from workflow_backend_node.identity import highest as highest_of
from workflow_backend_node.toml import read_toml

PUSHED = ".cometbft.pushed"
MARK = "pushed.json"
FETCHING = "fetching.json"
"""In a home that was made anew for a state of its peers, until all is proven to be well with it."""
ASIDE = ".cometbft.before-recovery"


def look(home: Path) -> Object:
    """Tell what is there."""
    key = home / "config" / VALIDATOR_KEY
    public_key = None
    if key.is_file():
        with suppress(ValueError, LookupError, TypeError):
            public_key = b64decode(json.loads(key.read_text())["pub_key"]["value"]).hex()
    return {
        "home": home.exists(),
        "blocks": has_blocks(home),
        "signed": signed(home),
        "highest": int(highest(home)["height"]),
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
    """The signing state that holds: of all homes that are here, those moved aside too, and seen."""
    homes = [home, *others, *home.parent.glob(f"{ASIDE}*")]
    found = [state for state in (signed(one) for one in homes) if state is not None]
    return highest_of([*found, *([seen] if seen else [])])


def has_blocks(home: Path) -> bool:
    """Whether a home has a block store, even an empty one."""
    return (home / "data" / "blockstore.db").exists()


def say_first_start(home: Path, state: Object, check_blocks: int, state_sync: Object) -> None:
    """Leave word for the first start of a home whose signing state is given."""
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
    return sorted(str(one) for one in home.parent.glob(f"{ASIDE}-*"))


def signed(home: Path) -> Object | None:
    """What the validator of a home signed last; None where that is lost."""
    return read(home / "data" / STATE)


def mark(home: Path) -> Object | None:
    """What waits beside a home to be put in its place, whole; None where nothing does."""
    return read(home.with_name(PUSHED) / MARK)


def read(path: Path) -> Object | None:
    """Read a JSON file; None where there is none."""
    try:
        found: Object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError, NotADirectoryError:
        return None
    except ValueError as error:
        raise Refused(f"{path} is not JSON: {error}") from error
    return found


def runs(home: Path) -> bool:
    """Whether the app of a home listens; a home that can't tell has none that runs."""
    path = home / "config" / "config.toml"
    if not path.is_file():
        return False
    socket = str(read_toml(path).get("proxy_app", "")).removeprefix("unix://")
    return listener(socket, Path("/proc/self/net/unix").read_text(encoding="utf-8")) is not None
