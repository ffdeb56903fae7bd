"""A host that answers something else than the module does is named; the others are judged."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from workflow_backend.operations.preflight import control_files
from workflow_backend.operations.preflight.machine_answer import PROBLEM_CHARACTERS, parse_machine

from .inventories import CATALOGUE, HOME, place
from .inventories import machine as honest
from .role_request import preflight, request

ODD: tuple[Any, ...] = (
    *(None, "", "x", "\x1b[2J", "\ud800", "9" * 5000, -1, 10**400, 1e300, float("inf")),
    *(float("nan"), True, [], ["x"], {}, {"x": 1}, [[[[]]]]),
)


def full() -> dict[str, Any]:
    """An honest answer with an entry in each list."""
    listener = {
        "address": "127.0.0.1",
        "port": 22,
        "user": "root",
        "program": "sshd",
        "process": 7,
        "unit": "ssh.service",
        "folder": "/",
    }
    home = {
        "chain_id": "net-1",
        "genesis_sha256": "ab" * 32,
        "validator": "cd" * 32,
        "fee_mode": "free_metered",
        "problem": "",
    }
    lists = {"listeners": [listener], "releases": ["0.1.0-1"], "programs": ["x"]}
    return honest(**lists, runs="0.1", home=home)


@pytest.fixture(autouse=True)
def _read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The roles' specs are the same for each answer."""
    monkeypatch.setattr(control_files, "read_catalogue", lambda *_: CATALOGUE)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each part of an answer, the answer itself first."""
    yield path
    if isinstance(value, dict | list):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in parts:
            yield from paths(part, (*path, key))


def altered(path: tuple[Any, ...], new: Any) -> Any:
    """The answer with another part."""
    answer = copy.deepcopy(full())
    if not path:
        return new
    inner = answer
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return answer


def judged(answer: Any) -> dict[str, Any]:
    """Judge a host with an answer beside one whose disk is full."""
    given = {
        "groups": ["xian_node", "postgres"],
        "closed": [],
        "names": ["xian_node_home", "xian_node_rpc_address"],
        "values": {"xian_node_home": json.dumps(HOME), "xian_node_rpc_address": '"127.0.0.1:22"'},
    }
    places = {path: place(number, free=0) for number, path in enumerate(honest()["places"])}
    hosts = {
        "liar": {**given, "machine": answer},
        "full": {**given, "machine": honest(places=places)},
    }
    return preflight(request(play=[*hosts], hosts=hosts), rehearsal=True)


@pytest.mark.parametrize("path", list(paths(full())), ids=str)
def test_answers_of_other_hosts_survive_an_altered_one(path: tuple[Any, ...]) -> None:
    for new in ODD:
        report = judged(altered(path, new))
        json.dumps(report)
        assert not [line for line in report["report"] if not line.isprintable()]
        assert any(f["check"] == "disk" and "full" in f["hosts"] for f in report["findings"])


def test_wrong_answer_is_named_with_its_host_and_in_few_words() -> None:
    report = judged(altered(("memory",), "much"))
    reach = [f for f in report["findings"] if f["check"] == "reach"]
    assert [f["hosts"] for f in reach] == [("liar",)]
    assert "memory: Input should be a valid integer" in reach[0]["what"]
    assert "examine the host" in reach[0]["hint"]
    _, trouble = parse_machine({f"x{number}": 1 for number in range(10_000)})
    assert len(trouble) < PROBLEM_CHARACTERS + 100


@pytest.mark.parametrize("path", [("surplus",), ("os", "surplus")], ids=str)
def test_answer_with_more_than_there_is_to_say_is_refused(path: tuple[str, ...]) -> None:
    taken, trouble = parse_machine(altered(path, "x"))
    assert taken is None
    assert "surplus" in trouble


def test_honest_answer_is_taken_as_it_is() -> None:
    assert parse_machine(full()) == (full(), "")
    assert parse_machine(None) == (None, "")
