"""Actions answer in JSON and write what they did into the report, refusals too."""

import json
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused, SettingError
from workflow_backend.operations.upgrades.actions import ACTIONS, act

NOWHERE = {"url": "http://127.0.0.1:1"}


def steps(report: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(report.read_text())["steps"]
    return found


def test_the_report_grows_with_each_step(tmp_path: Path) -> None:
    report = tmp_path / "reports" / "one.json"
    rest = {"height": 5, "app_hash": "H", "signed": 5}
    request = {"rests": {"a": rest, "b": rest}, "report": str(report)}
    assert act("stopped", request) == {"height": 5}
    with pytest.raises(RecoveryRefused):
        act("stopped", request | {"height": 4})
    act("note", {"what": "a went back", "told": {"release": "old"}, "report": str(report)})
    first, second, third = steps(report)
    assert first["step"] == "stopped"
    assert first["height"] == 5
    assert "not at height 4" in second["refused"]
    assert third["release"] == "old"
    assert report.parent.stat().st_mode & 0o777 == 0o700


def test_a_network_that_does_not_answer_is_told_and_not_raised() -> None:
    request = {"chain_id": "unit-1", "nodes": {"a": NOWHERE}, "host": "a"}
    assert act("take-down", request)["sentence"] == (
        "no node answers: the chain stands still already"
    )
    verb = {"chain_id": "unit-1", "nodes": {"a": NOWHERE}, "verb": "stop", "hosts": ["a"]}
    assert "problem" in act("verb", verb)["nodes"]["a"]
    assert act("take-down", request | {"host": "z"})["sentence"] == "z has no node"


def test_what_is_asked_wrongly_is_named() -> None:
    with pytest.raises(SettingError, match="take-down: host"):
        act("take-down", {"chain_id": "unit-1", "nodes": {}})
    assert set(ACTIONS) == {
        *("plan", "verb", "restarts", "take-down", "well", "rest", "stopped", "note")
    }


def test_deployment_that_restarts_no_node_asks_none() -> None:
    request = {"chain_id": "unit-1", "nodes": {"a": NOWHERE}, "programs": {"a": ["api"]}}
    assert act("restarts", request)["report"] == ["a: restarts api"]
    request["programs"] = {"a": ["cometbft"]}
    assert "no node answers" in act("restarts", request)["report"][0]


SOUND: dict[str, Any] = {
    "current": "old",
    "previous": None,
    "releases": {"old": {}},
    "compatible": {},
}


@pytest.mark.parametrize(
    "odd",
    [
        {"current": "../../../../etc"},
        {"current": 7},
        {"previous": "{{ lookup('pipe', 'id') }}"},
        {"releases": None},
        {"releases": {"old\x1b[2J": {}}},
        {"releases": {"old": {"python": [[]]}}},
        {"compatible": "old"},
    ],
)
def test_releases_that_can_not_be_are_named_with_their_host(odd: dict[str, Any]) -> None:
    change = {"hosts": {"good": SOUND, "odd": SOUND | odd}, "wanted": "old"}
    with pytest.raises(SettingError, match=r"plan: change\.hosts\.odd\.") as refused:
        act("plan", {"chain_id": "unit-1", "nodes": {}, "change": change})
    assert refused.value.explain().isprintable()


@pytest.mark.parametrize("odd", [None, {}, {"height": 10**18, "app_hash": "H", "signed": 1}, []])
def test_what_a_stopped_node_can_not_hold_is_named_with_its_host(odd: Any) -> None:
    rest = {"height": 5, "app_hash": "H", "signed": 5}
    with pytest.raises(SettingError, match=r"stopped: rests\.odd"):
        act("stopped", {"rests": {"good": rest, "odd": odd}})
