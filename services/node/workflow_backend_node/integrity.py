"""Checks that the files of a home can be read as what they are, before anything is stopped.

CometBFT and the app read each of them at their start, and end where one is empty or cut short.
"""

from collections.abc import Callable
from pathlib import Path

from workflow_backend_node import identity, signing_state
from workflow_backend_node.files import json_object, read_regular_file
from workflow_backend_node.requests import Refused
from workflow_backend_node.toml import read_toml

ADDRESSES = "addrbook.json"
CONFIGURATION = ("config.toml", "xian.toml")

_LARGEST = 64 << 20


def require(home: Path) -> None:
    """Raise `Refused` naming each file of a home that its programs could not start with."""
    config = home / "config"
    _require_all(
        *(lambda path=config / name: read_toml(path) for name in CONFIGURATION),
        lambda: require_kept(home),
    )


def require_kept(home: Path) -> None:
    """Raise `Refused` for what is wrong with all that no deployment writes anew."""
    _require_all(
        lambda: identity.require(home / "config"),
        lambda: _require_signed(home),
        lambda: _require_addresses(home / "config" / ADDRESSES),
    )


def _require_signed(home: Path) -> None:
    if signing_state.of(home) is None:
        raise Refused(f"{signing_state.place(home)} is missing: {signing_state.LOST}")


def _require_addresses(path: Path) -> None:
    try:
        json_object(read_regular_file(path, _LARGEST), str(path))
    except FileNotFoundError:
        return
    except Refused as error:
        raise Refused(f"{error}: remove it, CometBFT makes it anew") from None


def _require_all(*checks: Callable[[], object]) -> None:
    wrong = []
    for check in checks:
        try:
            check()
        except (Refused, OSError) as error:
            wrong.append(str(error))
    if wrong:
        raise Refused("; ".join(wrong))
