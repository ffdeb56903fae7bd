"""The app of a home that is half restored does not start."""

import json
from pathlib import Path

import pytest

from workflow_backend_node.requests import Refused
from workflow_backend_node.unfinished_restore import require_no_restore


def journal(home: Path, text: str) -> None:
    folder = home.parent / "restore"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "journal.json").write_text(text)


def test_app_does_not_start_in_the_middle_of_a_restore(tmp_path: Path) -> None:
    home = tmp_path / "node" / ".cometbft"
    require_no_restore(home)
    for phase in ("prepared", "swapped", "finishing"):
        journal(home, json.dumps({"phase": phase}))
        require_no_restore(home)
    for phase in ("swapping", "undoing"):
        journal(home, json.dumps({"phase": phase}))
        with pytest.raises(Refused, match=f"cut short while it was {phase}"):
            require_no_restore(home)


def test_journal_that_says_nothing_stops_it(tmp_path: Path) -> None:
    home = tmp_path / "node" / ".cometbft"
    for text in ("", "{}", "[]", '{"phase": "odd"}'):
        journal(home, text)
        with pytest.raises(Refused, match=r"journal\.json"):
            require_no_restore(home)
