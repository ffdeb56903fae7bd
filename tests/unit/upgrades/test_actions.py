"""Actions answer in JSON and write what they did into the report, refusals too."""

import json
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused, SettingError
from workflow_backend.operations.network.report import run_action
from workflow_backend.operations.upgrades.actions import ACTIONS

NOWHERE = {"url": "http://127.0.0.1:1"}


def act(name: str, request: dict[str, Any]) -> dict[str, Any]:
    return run_action(ACTIONS, name, request, check=False)


def steps(report: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(report.read_text())["steps"]
    return found


def test_report_grows_with_each_step(tmp_path: Path) -> None:
    report = tmp_path / "reports" / "one.json"
    node = {"height": 5, "app_hash": "H", "signed": 5}
    request = {"nodes": {"a": node, "b": node}, "report": str(report)}
    assert act("assert-same-height", request) == {"height": 5, "left_out": {}}
    with pytest.raises(RecoveryRefused):
        act("assert-same-height", request | {"height": 4})
    act("note", {"what": "a went back", "details": {"release": "old"}, "report": str(report)})
    first, second, third = steps(report)
    assert first["step"] == "assert-same-height"
    assert first["height"] == 5
    assert "not at height 4" in second["refused"]
    assert third["release"] == "old"
    assert report.parent.stat().st_mode & 0o777 == 0o700


def test_silent_network_is_an_answer_and_no_error() -> None:
    request = {"chain_id": "unit-1", "nodes": {"a": NOWHERE}, "host": "a"}
    assert act("check-quorum", request)["sentence"] == (
        "no node answers: the chain stands still already"
    )
    verb = {"chain_id": "unit-1", "nodes": {"a": NOWHERE}, "verb": "stop", "hosts": ["a"]}
    assert "problem" in act("plan-verb", verb)["nodes"]["a"]
    assert act("check-quorum", request | {"host": "z"})["sentence"] == "z has no node"


def test_request_names_its_missing_fields() -> None:
    with pytest.raises(SettingError, match="check-quorum: host"):
        act("check-quorum", {"chain_id": "unit-1", "nodes": {}})


def test_deployment_that_restarts_no_node_asks_none() -> None:
    request = {"chain_id": "unit-1", "nodes": {"a": NOWHERE}, "programs": {"a": ["api"]}}
    assert act("plan-restarts", request)["report"] == ["a: restarts api"]
    request["programs"] = {"a": ["cometbft"]}
    assert "no node answers" in act("plan-restarts", request)["report"][0]


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
def test_impossible_releases_are_named_with_their_host(odd: dict[str, Any]) -> None:
    change = {"hosts": {"good": SOUND, "odd": SOUND | odd}, "target": "old"}
    with pytest.raises(SettingError, match=r"plan: change\.hosts\.odd\.") as refused:
        act("plan", {"chain_id": "unit-1", "nodes": {}, "change": change})
    assert refused.value.explain().isprintable()


ODD: list[Any] = [None, {}, {"height": 10**18, "app_hash": "H", "signed": 1}, [], "\x1b[2J"]


@pytest.mark.parametrize("odd", ODD)
def test_stopped_node_with_an_impossible_answer_is_left_out_where_the_others_suffice(
    odd: Any,
) -> None:
    """A host can answer what it likes, also nothing at all."""
    node = {"height": 5, "app_hash": "H", "signed": 5}
    nodes = dict.fromkeys("abc", node) | {"odd": odd}
    powers = dict.fromkeys(nodes, 10)
    answer = act("assert-same-height", {"nodes": nodes, "powers": powers, "total": 40})
    assert (answer["height"], list(answer["left_out"])) == (5, ["odd"])
    assert answer["left_out"]["odd"].isprintable()
    needed = {"nodes": {"good": node, "odd": odd}, "powers": powers, "total": 40}
    for request in (needed, needed | {"nodes": {"odd": odd}}):
        with pytest.raises(RecoveryRefused, match="odd does not say what it holds") as refused:
            act("assert-same-height", request)
        assert refused.value.explain().replace("\n", "").isprintable()
