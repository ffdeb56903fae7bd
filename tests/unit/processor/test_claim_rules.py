"""What the processor holds back before it spends a transaction."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workflow_backend.chain.state_answers import Pause
from workflow_backend.items import Item
from workflow_backend.processor import claim_rules
from workflow_backend.processor.claim_rules import ClaimRules
from workflow_backend.processor.journal import Journal

from .doubles import item

FAR = 9_000_000_000
"""A time in seconds that has not come."""


class Node:
    """Records by id, and pauses; `reads` counts how often the pauses were read."""

    def __init__(self) -> None:
        self.records: dict[str, Item] = {}
        self.paused: dict[str, Pause] = {}
        self.capabilities = frozenset({"pause"})
        self.reads = 0

    async def version(self) -> Any:
        return SimpleNamespace(capabilities=self.capabilities)

    async def pauses(self) -> dict[str, Pause]:
        self.reads += 1
        return self.paused

    async def items(self, ids: Sequence[str]) -> list[Item | None]:
        return [self.records.get(item_id) for item_id in ids]


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "p.sqlite3", "chain-1", "con_job_workflow")
    yield journal
    journal.close()


@pytest.fixture
def rules(node: Node, journal: Journal) -> ClaimRules:
    return ClaimRules(node, journal)  # type: ignore[arg-type]


def submitted(item_id: str = "a", **rules: Any) -> Item:
    return replace(item(item_id, status="submitted", worker=""), **rules)


async def test_item_without_rules_is_not_held_back(rules: ClaimRules, journal: Journal) -> None:
    assert await rules.hold_back([submitted(), submitted("b", not_before=1)]) == set()
    assert journal.count_held_back() == {}


async def test_early_item_is_due_at_its_time(rules: ClaimRules, journal: Journal) -> None:
    soon = int(time.time()) + 60
    held = await rules.hold_back([submitted("a", not_before=soon), submitted("b", not_before=FAR)])
    assert held == {"a", "b"}
    assert journal.count_held_back() == {"early": 2}
    due = journal.next_due(["job"])
    assert due is not None
    assert due - time.monotonic() == pytest.approx(60, abs=3)


async def test_time_of_an_item_is_that_of_the_given_clock(node: Node, journal: Journal) -> None:
    """This machine's own clock may be behind the chain's."""
    node.paused = {"job": Pause("o", "", FAR, "")}
    rules = ClaimRules(node, journal, lambda: FAR + 1.0)  # type: ignore[arg-type]
    await rules.refresh()
    assert await rules.hold_back([submitted(not_before=FAR)]) == set()
    assert not rules.is_paused("job")


@pytest.mark.parametrize(
    ("other", "hold"),
    [
        ({"status": "submitted"}, "waiting"),
        ({"status": "processing"}, "waiting"),
        ({"status": "failed"}, "blocked"),
        ({"status": "cancelled"}, "blocked"),
        ({"status": "archived", "ended": "failed"}, "blocked"),
        ({"status": "completed"}, ""),
        ({"status": "archived", "ended": "completed"}, ""),
    ],
)
async def test_item_waits_until_the_other_is_completed(
    rules: ClaimRules, node: Node, journal: Journal, other: dict[str, Any], hold: str
) -> None:
    node.records["b"] = submitted("b", **other)
    assert await rules.hold_back([submitted(after=("b",))]) == ({"a"} if hold else set())
    assert journal.count_held_back() == ({hold: 1} if hold else {})


async def test_item_that_names_another_twice_waits_all_the_same(
    rules: ClaimRules, node: Node, journal: Journal
) -> None:
    node.records["b"] = submitted("b")
    assert await rules.hold_back([submitted(after=("b", "b"))]) == {"a"}
    due = journal.next_due([])
    assert due is not None
    assert due - time.monotonic() > 60


async def test_pauses_are_read_once_a_second(
    rules: ClaimRules, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.paused = {
        "job": Pause("o", "flood", 0, ""),
        "over": Pause("o", "", int(time.time()) - 1, ""),
        "lasting": Pause("o", "", FAR, ""),
    }
    for _ in range(3):
        await rules.refresh()
    assert node.reads == 1
    assert [kind for kind in ("job", "over", "lasting", "else") if rules.is_paused(kind)] == [
        "job",
        "lasting",
    ]
    node.paused = {"*": Pause("o", "", 0, "")}
    monkeypatch.setattr(claim_rules, "PAUSES_SECONDS", 0)
    await rules.refresh()
    assert rules.is_paused("else")


async def test_contract_without_pauses_is_not_asked_for_them(rules: ClaimRules, node: Node) -> None:
    node.capabilities = frozenset()
    await rules.refresh()
    assert (node.reads, rules.is_paused("job")) == (0, False)
