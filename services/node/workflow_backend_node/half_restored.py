"""An app must not start between the old state and the new one: it would make a third."""

import json
from pathlib import Path

from workflow_backend_node.asking import Refused

JOURNAL = Path("restore") / "journal.json"
BETWEEN = ("swapping", "undoing")


def refuse_half_restored(home: Path) -> None:
    """Raise `Refused` while a restore was cut short in the middle of changing this home.

    Its journal lies beside the home; `workflow-backend snapshots` writes it.
    """
    journal = home.parent / JOURNAL
    try:
        phase = json.loads(journal.read_text(encoding="utf-8"))["phase"]
    except FileNotFoundError:
        return
    except (ValueError, LookupError, TypeError) as error:
        raise Refused(f"{journal} can't be read: {error!r}") from error
    if phase in BETWEEN:
        raise Refused(
            f"a restore of {home} was cut short while it was {phase}: "
            "run it again with the same snapshot, or undo it"
        )
