"""The report of a run grows with each step, and keeps refusals."""

import json
from pathlib import Path

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.network.report import (
    Actions,
    Note,
    Reported,
    note,
    run_action,
)
from workflow_backend.operations.requests import Object


def refuse(_: Reported, *, check: bool) -> Object:
    raise RecoveryRefused(f"no, check is {check}", hint="")


ACTIONS: Actions = {"note": (Note, note), "refuse": (Reported, refuse)}


def test_report_grows_with_each_step_and_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "one.json"
    with pytest.raises(RecoveryRefused):
        run_action(ACTIONS, "refuse", {"report": str(path)}, check=True)
    request = {"what": "a went back", "details": {"release": "old"}, "report": str(path)}
    run_action(ACTIONS, "note", request, check=False)
    refused, noted = json.loads(path.read_text())["steps"]
    assert (refused["step"], refused["refused"]) == ("refuse", "no, check is True")
    assert (noted["what"], noted["release"]) == ("a went back", "old")
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_report_begins_anew_where_the_file_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text("{")
    request = {"what": "x", "details": {}, "report": str(path)}
    run_action(ACTIONS, "note", request, check=False)
    assert len(json.loads(path.read_text())["steps"]) == 1
