"""A chain in miniature: transactions run in the node's VM by the node's own processor.

No consensus and no network: a test says when a block comes and what time it has. What a call
answers is the receipt that a node would keep, so what a receipt cuts off is cut off here too.
"""

import re
from ast import literal_eval
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from contracting.local import ContractingClient
from contracting.storage.driver import Driver
from xian.execution_engine import build_vm_runtime, execute_vm_contract
from xian.fee_policy import TxFeePolicy
from xian.genesis_builder import _stage_native_submission_contract
from xian.processor import TxProcessor

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"
FREE_METERED = TxFeePolicy.free_metered()
CHI_LIMIT = 1_000_000
RECEIPT_LIMIT = 1024
"""A receipt keeps so many characters of an answer."""


class Refused(Exception):
    """The transaction failed; the message is the contract's."""


@dataclass(frozen=True)
class Receipt:
    """What a node keeps of a transaction: `result` is the answer's text, cut at RECEIPT_LIMIT."""

    result: str
    events: list[dict[str, Any]]
    chi: int
    state: list[dict[str, Any]]

    @property
    def named_events(self) -> list[tuple[str, dict[str, Any]]]:
        """The events as (name, fields)."""
        return [(e["event"], {**e["data_indexed"], **e["data"]}) for e in self.events]


class Chain:
    """State, a clock of blocks, and transactions against them."""

    def __init__(self, home: Path) -> None:
        self.driver = Driver(storage_home=home)
        _stage_native_submission_contract(self.driver)
        client = ContractingClient(storage_home=home, driver=self.driver, submission_filename=None)
        self._runtime = build_vm_runtime()
        self._processor = TxProcessor(client, execution_runtime=self._runtime)
        self.height = 1
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def block(self, seconds: float = 1) -> None:
        """Begin the next block, whose `now` is so many seconds later."""
        self.height += 1
        self.now += timedelta(seconds=seconds)

    def send(self, sender: str, contract: str, function: str, /, **kwargs: Any) -> Receipt:
        """Run a transaction in the current block; raises Refused where it fails."""
        nanos = int(self.now.timestamp()) * 10**9 + self.now.microsecond * 1000
        outcome = self._processor.process_tx(
            {
                "payload": {
                    "sender": sender,
                    "contract": contract,
                    "function": function,
                    "kwargs": kwargs,
                    "chi_supplied": CHI_LIMIT,
                    "nonce": 0,
                    "chain_id": "test-1",
                },
                "metadata": {"signature": "00"},
                "b_meta": {
                    "nanos": nanos,
                    "height": self.height,
                    "hash": "00",
                    "chain_id": "test-1",
                },
            },
            fee_policy=FREE_METERED,
        )["tx_result"]
        if outcome is None:
            raise Refused("the node could not run the transaction")
        if outcome["status"] != 0:
            quoted = re.fullmatch(r"(?:\w+\()?(['\"].*['\"])\)?", outcome["result"])
            raise Refused(literal_eval(quoted[1]) if quoted else outcome["result"])
        return Receipt(outcome["result"], outcome["events"], outcome["chi_used"], outcome["state"])

    def read(self, sender: str, contract: str, function: str, /, **kwargs: Any) -> Any:
        """Call a function as a query does: the answer is whole and nothing is written."""
        with self.unchanged():
            outcome = execute_vm_contract(
                self._runtime,
                self.driver,
                sender=sender,
                contract_name=contract,
                function_name=function,
                kwargs=kwargs,
                environment={"now": None, "block_num": self.height},
            )
        if outcome.status_code != 0:
            raise Refused(str(outcome.result))
        return outcome.result

    def deploy(self, sender: str, name: str, source: Path | str, /, **arguments: Any) -> Receipt:
        """Submit a contract's source, or what a file has of it, as a client does."""
        return self.send(
            sender,
            "submission",
            "submit_contract",
            name=name,
            code=source if isinstance(source, str) else source.read_text(encoding="utf-8"),
            constructor_args=arguments,
        )

    def commit(self) -> None:
        """Write the state to disk, as the end of a block does."""
        self.driver.commit()

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Put state and clock back afterwards."""
        before = self.driver.snapshot_state(), self.height, self.now
        try:
            yield
        finally:
            state, self.height, self.now = before
            self.driver.restore_state(state)
