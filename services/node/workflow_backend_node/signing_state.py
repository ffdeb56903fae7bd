"""The signing state: what a validator signed last, read as CometBFT reads it and never guessed.

A file that is empty, truncated or of another kind is no signing state. Taking it for the state of a
validator that has signed nothing could let that validator sign twice.
"""

import re
from base64 import b64decode
from collections.abc import Iterable
from pathlib import Path

from workflow_backend_node.files import json_object, read_regular_file
from workflow_backend_node.requests import Object, Refused

STATE = "priv_validator_state.json"

_NEW: Object = {"height": "0", "round": 0, "step": 0}
_LAST_STEP = 3  # a precommit
_LARGEST = 1 << 20
_HEIGHT = re.compile(r"[0-9]{1,18}")


def place(home: Path) -> Path:
    """Return where the signing state of a home lies."""
    return home / "data" / STATE


def of(home: Path) -> Object | None:
    """Return the signing state of a home, as `read`."""
    return read(place(home))


def read(path: Path) -> Object | None:
    """Return the signing state in a file; None where there is no file.

    Raises `Refused` for one that CometBFT could not start with.
    """
    try:
        text = read_regular_file(path, _LARGEST)
    except FileNotFoundError, NotADirectoryError:
        return None
    return parse(text, str(path))


def parse(text: bytes, where: str) -> Object:
    """Return the signing state in a text; raises `Refused` naming what is wrong with it."""
    try:
        state = json_object(text, where)
    except Refused as error:
        raise Refused(f"{error}: {LOST}") from None
    return require(state, where)


def require(state: Object, where: str) -> Object:
    """Return what is a signing state; raises `Refused` for anything else."""
    height, round_, step = state.get("height"), state.get("round", 0), state.get("step", 0)
    # CometBFT writes 64 bits as a text of digits, and reads nothing else.
    if not (isinstance(height, str) and _HEIGHT.fullmatch(height)):
        raise Refused(f"{where} has no height: {LOST}")
    if not _whole(round_, 1 << 31) or not _whole(step, _LAST_STEP + 1):
        raise Refused(f"{where} has no round and step: {LOST}")
    try:
        b64decode(state.get("signature") or "", validate=True)
        bytes.fromhex(state.get("signbytes") or "")
    except TypeError, ValueError:
        raise Refused(f"{where} holds a signature that can't be read: {LOST}") from None
    return state


def highest(states: Iterable[Object]) -> Object:
    """Return the state that lets a validator sign the least; that of a new one without any."""
    return max(states, key=_order, default=_NEW)


def _order(state: Object) -> tuple[int, int, int]:
    return int(state["height"]), int(state.get("round", 0)), int(state.get("step", 0))


def _whole(value: object, end: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < end


LOST = (
    "what this validator has signed is lost, and it may sign twice; docs/runbooks.md has the way "
    "back, what a validator signed"
)
