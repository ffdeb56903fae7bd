"""What hosts answered of their releases, as the plan of an upgrade asks for it."""

import runpy
from pathlib import Path

import pytest
from pydantic import ValidationError

from workflow_backend.operations.upgrades.releases import InstalledReleases

REPO = Path(__file__).parents[4]
FILTER = runpy.run_path(str(REPO / "plugins/filter/installed_releases.py"))
ANSWER = {"current": "b", "previous": "a", "versions": {"a": {}, "b": {"cometbft": "1"}}}


def test_installed_releases_are_what_the_plan_takes() -> None:
    found = FILTER["installed_releases"]({"one": ANSWER | {"compatible": {"b": ["a"]}}})
    assert InstalledReleases(**found["one"]).releases["b"] == {"cometbft": "1"}


def test_host_without_any_release_keeps_none() -> None:
    none: dict[str, object] = {"current": None, "previous": None, "versions": {}, "compatible": {}}
    assert FILTER["installed_releases"]({"one": none})["one"]["current"] is None


def test_host_that_did_not_answer_is_refused_by_the_plan() -> None:
    found = FILTER["installed_releases"]({"one": {}})
    with pytest.raises(ValidationError):
        InstalledReleases(**found["one"])
