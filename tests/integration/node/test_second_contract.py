"""What only a real node shows of the second contract: blocks, their times, the history."""

import json
import math
import time
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from node_harness import Node
from processes import wait_until

from workflow_backend.contract_versions import VERSIONS, version_of

CONTRACT = "con_second"
SECOND = VERSIONS[1]
SOURCE = (Path(__file__).parents[3] / "contracts" / SECOND.file).read_text()
STARTED = 1_000_000_000
"""A time in seconds that has long come."""


@pytest.fixture(scope="module")
def queue(node: Node) -> Node:
    """The node, with the contract on it; its operator is requester and worker too."""
    node.deploy(CONTRACT, SOURCE)
    return node


def apply(node: Node, *entries: dict[str, Any]) -> str:
    """Send a batch and return the letters of the answer."""
    receipt = node.broadcast(CONTRACT, "apply_items", {"batch": list(entries)})
    assert receipt["status"] == 0, receipt["result"]
    return "".join(filter(str.isalpha, receipt["result"]))


def submit(item_id: str, **fields: Any) -> dict[str, Any]:
    return {"action": "submit", "item_id": item_id, "payload_uri": 'it\'s \\ "p"', **fields}


def next_now(node: Node) -> datetime:
    """Return the `now` of the next block: when the validators signed the newest one."""
    [signature] = node.rpc("commit")["signed_header"]["commit"]["signatures"]
    return datetime.fromisoformat(signature["timestamp"][:26]).replace(tzinfo=UTC)


def test_kept_source_is_recognised(queue: Node) -> None:
    answer = queue.rpc("abci_query", path=f"/contract_source/{CONTRACT}")["response"]
    assert version_of(b64decode(answer["value"]).decode()) is SECOND


def test_signatures_of_a_block_tell_the_time_of_the_next(queue: Node) -> None:
    expected = next_now(queue)
    apply(queue, submit("told"))
    record = queue.query(f"/get/{CONTRACT}.items:told")
    told = datetime.fromisoformat(record["created_at"]).replace(tzinfo=UTC)
    assert abs(told - expected) < timedelta(milliseconds=1)


def test_item_is_claimable_within_a_second_of_its_time(queue: Node) -> None:
    """On an idle chain a tick makes a block whose successor is late enough."""
    not_before = math.ceil(time.time()) + 2
    claim = {"action": "claim", "item_id": "later"}
    assert apply(queue, submit("later", not_before=not_before), claim) == "az"
    wait_until(lambda: time.time() >= not_before, 5, "the item's time")
    assert next_now(queue).timestamp() < not_before  # so a claim would be refused
    assert apply(queue) == ""
    assert next_now(queue).timestamp() >= not_before
    assert apply(queue, claim) == "a"
    assert not_before <= time.time() < not_before + 1


def test_claim_is_refused_in_the_first_block_after_its_time(queue: Node) -> None:
    not_before = math.ceil(time.time()) + 1
    claim = {"action": "claim", "item_id": "first"}
    apply(queue, submit("first", not_before=not_before))
    wait_until(lambda: time.time() >= not_before, 5, "the item's time")
    assert [apply(queue, claim), apply(queue, claim)] == ["z", "a"]


def test_tombstone_proves_the_record_of_the_history(queue: Node) -> None:
    assert apply(queue, submit("base"), {"action": "cancel", "item_id": "base"}) == "aa"
    fields = {"client": "web-shop", "priority": 0, "not_before": STARTED, "after": ["base"]}
    assert apply(queue, submit("gone", **fields)) == "a"
    assert apply(queue, {"action": "stop", "item_id": "gone", "reason": "it's over"}) == "a"
    queue.broadcast(CONTRACT, "set_retention", {"seconds": 1})
    archive = {"action": "archive", "item_id": "gone"}
    assert apply(queue, archive) == "D"
    wait_until(lambda: apply(queue, archive) == "a", 10, "the retention")
    tombstone = queue.query(f"/get/{CONTRACT}.items:gone")
    wait_until(queue.index_level, 30, "index level with the chain")
    rows = queue.query(f"/state_history/{CONTRACT}.items:gone/limit=10/offset=0")
    values = [json.loads(row["value"]) for row in rows]
    assert values[0] == tombstone
    last = values[1]
    assert [value["revision"] for value in values[1:]] == [3, 2, 1]
    last["after"] = " ".join(last["after"])
    lines = "\n".join(f"{name}={last[name]}" for name in sorted(last))
    assert sha256(lines.encode()).hexdigest() == tombstone["digest"]
    assert [event["data"] for event in queue.events(CONTRACT, "ItemArchived")] != []
