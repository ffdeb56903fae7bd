"""The app of a home that is half restored does not start."""

import json
from pathlib import Path

import pytest

from workflow_backend_node.asking import Refused
from workflow_backend_node.half_restored import refuse_half_restored


def journal(home: Path, text: str) -> None:
    folder = home.parent / "restore"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "journal.json").write_text(text)


def test_only_the_middle_of_a_restore_stops_it(tmp_path: Path) -> None:
    home = tmp_path / "node" / ".cometbft"
    refuse_half_restored(home)
    for phase in ("prepared", "swapped", "finishing"):
        journal(home, json.dumps({"phase": phase}))
        refuse_half_restored(home)
    for phase in ("swapping", "undoing"):
        journal(home, json.dumps({"phase": phase}))
        with pytest.raises(Refused, match=f"cut short while it was {phase}"):
            refuse_half_restored(home)


def test_a_journal_that_says_nothing_stops_it(tmp_path: Path) -> None:
    home = tmp_path / "node" / ".cometbft"
    for text in ("", "{}", "[]", '{"phase": "odd"}'):
        journal(home, text)
        with pytest.raises(Refused, match=r"journal\.json"):
            refuse_half_restored(home)
