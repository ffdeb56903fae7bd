"""An app must not start between the old state and the new one: it would make a third."""

from pathlib import Path

from workflow_backend_node.asking import Refused
from workflow_backend_node.files import json_object, read_regular

JOURNAL = Path("restore") / "journal.json"
BETWEEN = ("swapping", "undoing")
OTHERS = ("prepared", "swapped", "finishing")

_LARGEST = 1 << 20


def refuse_half_restored(home: Path) -> None:
    """Raise `Refused` while a restore was cut short in the middle of changing this home.

    Its journal lies beside the home; `workflow-backend snapshots` writes it.
    """
    journal = home.parent / JOURNAL
    try:
        phase = json_object(read_regular(journal, _LARGEST), str(journal)).get("phase")
    except FileNotFoundError:
        return
    if phase in BETWEEN:
        raise Refused(
            f"a restore of {home} was cut short while it was {phase}: run "
            "restore-state-snapshot.yml again, with the same snapshot or -e snapshots_undo=true"
        )
    if phase not in OTHERS:
        raise Refused(f"{journal} can't be read: its phase is {phase!r}")
