"""The workflow contract on a chain of its own, and the people who use it."""

import ast
import re
from typing import Any

from workflow_backend.contract_versions import VERSIONS, ContractVersion

from .vm import CONTRACTS, Chain, Receipt, Refused

NAME = "con_job_workflow"
FIRST, SECOND = VERSIONS

OPERATOR = "0" * 64
ALICE = "a" * 64
"""A requester."""
AGENT = "c" * 64
"""Alice's agent."""
WANDA, WALT = "d" * 64, "e" * 64
"""Workers."""
STRANGER = "f" * 64
PEOPLE = {
    "requester": ALICE,
    "agent": AGENT,
    "operator": OPERATOR,
    "holder": WANDA,
    "worker": WALT,
    "stranger": STRANGER,
}
"""Everybody, by what they are to an item that Alice submitted and Wanda holds."""

DEFAULTS: dict[str, Any] = {
    "metadata_ref": "",
    "client": "",
    "worker": "",
    "result_uri": "",
    "failure_reason": "",
    "lease_seconds": 0,
    "contested_at": "",
    "priority": 5,
    "not_before": 0,
    "after": [],
    "stop_requested_at": "",
    "stop_requested_by": "",
    "stop_reason": "",
}
"""What the second version's record leaves out."""


class Jobs:
    """A deployed contract with two workers, a requester and her agent."""

    def __init__(self, chain: Chain, version: ContractVersion = SECOND, source: str = "") -> None:
        self.chain = chain
        self.version = version
        chain.deploy(OPERATOR, NAME, source or CONTRACTS / version.file)
        for worker in (WANDA, WALT):
            chain.send(OPERATOR, NAME, "add_worker", account=worker)
        chain.send(ALICE, NAME, "add_agent", account=AGENT)
        chain.commit()
        self._answers: dict[str, str] = self.read("get_answers")

    @property
    def now(self) -> str:
        """The time of the block, as the contract writes it."""
        return str(self.chain.now.replace(tzinfo=None))

    def can(self, capability: str) -> bool:
        """Tell whether the contract's version has it."""
        return capability in self.version.capabilities

    def send(self, sender: str, function: str, /, **arguments: Any) -> Receipt:
        return self.chain.send(sender, NAME, function, **arguments)

    def read(self, function: str, /, **arguments: Any) -> Any:
        return self.chain.read(STRANGER, NAME, function, **arguments)

    def stored(self, item_id: str = "i") -> Any:
        """Return the record as the state has it."""
        return self.chain.driver.get(f"{NAME}.items:{item_id}")

    def record(self, item_id: str = "i") -> Any:
        """Return the record with what it leaves out; a contest that is none is None."""
        record = self.stored(item_id)
        if record is None or record["status"] == "archived":
            return record
        known = DEFAULTS if self.version is SECOND else {}
        return {**known, **record, "contested_at": record.get("contested_at") or None}

    def shown(self, item_id: str = "i") -> dict[str, Any]:
        """Return what `get_item` tells; a contest that is none is None."""
        item: dict[str, Any] = self.read("get_item", item_id=item_id)
        return {**item, "contested_at": item["contested_at"] or None}

    def batch(self, sender: str, function: str, /, **arguments: Any) -> list[tuple[str, int]]:
        """Call a batch function and return (code and message, attempt) for each entry."""
        return self.decode(self.send(sender, function, **arguments))

    def apply(self, sender: str, *entries: Any) -> list[tuple[str, int]]:
        return self.batch(sender, "apply_items", batch=list(entries))

    def codes(self, sender: str, action: str, *item_ids: str, **fields: Any) -> list[str]:
        """Do the same to each item and return the codes."""
        entries = [{"action": action, "item_id": item_id, **fields} for item_id in item_ids]
        return [answer.partition(":")[0] for answer, _ in self.apply(sender, *entries)]

    def decode(self, receipt: Receipt) -> list[tuple[str, int]]:
        text = ast.literal_eval(receipt.result)
        assert re.fullmatch(r"([A-Za-z]\d+)*", text)
        return [
            (self._answers[letter], int(attempt))
            for letter, attempt in re.findall(r"([A-Za-z])(\d+)", text)
        ]

    def refusal(self, sender: str, function: str, /, **arguments: Any) -> str:
        """Call a function that must fail; return the message, having seen that nothing changed."""
        before = self.chain.driver.snapshot_state()["pending_writes"]
        try:
            receipt = self.send(sender, function, **arguments)
        except Refused as refused:
            assert self.chain.driver.snapshot_state()["pending_writes"] == before
            return str(refused)
        raise AssertionError(f"{function} was not refused: {receipt.result}")

    def put(self, status: str, item_id: str = "i") -> Any:
        """Bring a new item of Alice into a status; Wanda works."""
        self.send(ALICE, "submit_item", item_id=item_id, payload_uri="https://example.org/p")
        self.chain.block()
        if status == "cancelled":
            self.send(ALICE, "cancel_item", item_id=item_id)
        elif status != "submitted":
            self.send(WANDA, "claim_item", item_id=item_id)
        if status == "completed":
            self.send(WANDA, "complete_item", item_id=item_id, result_uri="https://example.org/r")
        elif status == "failed":
            self.send(WANDA, "fail_item", item_id=item_id, reason="broken")
        self.chain.block()
        return self.record(item_id)
