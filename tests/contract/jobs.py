"""The workflow contract on a chain of its own, and the people who use it."""

import ast
import re
from typing import Any

from .vm import CONTRACTS, Chain, Receipt, Refused

NAME = "con_job_workflow"
SOURCE = CONTRACTS / f"{NAME}.s.py"

OPERATOR = "0" * 64
ALICE = "a" * 64
"""A requester."""
AGENT = "c" * 64
"""Alice's agent."""
WANDA, WALT = "d" * 64, "e" * 64
"""Workers."""
STRANGER = "f" * 64


class Jobs:
    """A deployed contract with two workers, a requester and her agent."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        chain.deploy(OPERATOR, NAME, SOURCE)
        for worker in (WANDA, WALT):
            chain.send(OPERATOR, NAME, "add_worker", account=worker)
        chain.send(ALICE, NAME, "add_agent", account=AGENT)
        self._answers: dict[str, str] = self.read("get_answers")

    def send(self, sender: str, function: str, /, **arguments: Any) -> Receipt:
        return self.chain.send(sender, NAME, function, **arguments)

    def read(self, function: str, /, **arguments: Any) -> Any:
        return self.chain.read(STRANGER, NAME, function, **arguments)

    def record(self, item_id: str = "i") -> dict[str, Any]:
        record: dict[str, Any] = self.chain.driver.get(f"{NAME}.items:{item_id}")
        return record

    def batch(self, sender: str, function: str, /, **arguments: Any) -> list[tuple[str, int]]:
        """Call a batch function and return (code and message, attempt) for each entry."""
        return self.decode(self.send(sender, function, **arguments))

    def apply(self, sender: str, *entries: Any) -> list[tuple[str, int]]:
        return self.batch(sender, "apply_items", batch=list(entries))

    def decode(self, receipt: Receipt) -> list[tuple[str, int]]:
        text = ast.literal_eval(receipt.result)
        assert re.fullmatch(r"([a-z]\d+)*", text)
        return [
            (self._answers[letter], int(attempt))
            for letter, attempt in re.findall(r"([a-z])(\d+)", text)
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

    def put(self, status: str, item_id: str = "i") -> dict[str, Any]:
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
