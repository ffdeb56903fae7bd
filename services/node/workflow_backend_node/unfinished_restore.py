"""Keeps the app from starting in the middle of a restore, where it would make a third state."""

from pathlib import Path

from workflow_backend_node.files import json_object, read_regular_file
from workflow_backend_node.requests import Refused

JOURNAL = Path("restore") / "journal.json"
BETWEEN = ("swapping", "undoing")
OTHERS = ("prepared", "swapped", "finishing")

_LARGEST = 1 << 20


def require_no_restore(home: Path) -> None:
    """Raise `Refused` while a restore was cut short in the middle of changing this home.

    Its journal lies beside the home; `workflow-backend snapshots` writes it.
    """
    journal = home.parent / JOURNAL
    try:
        phase = json_object(read_regular_file(journal, _LARGEST), str(journal)).get("phase")
    except FileNotFoundError:
        return
    if phase in BETWEEN:
        raise Refused(
            f"a restore of {home} was cut short while it was {phase}: run "
            "restore-state-snapshot.yml again, with the same snapshot or -e snapshots_undo=true"
        )
    if phase not in OTHERS:
        raise Refused(f"{journal} can't be read: its phase is {phase!r}")
