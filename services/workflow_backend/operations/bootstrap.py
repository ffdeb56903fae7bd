"""The admin job: contract, workers, funds and first item brought to what is expected.

Whatever is right already is left as it is, so it is safe to run again, and after a failure it goes
on where it was.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

from xian_py import Wallet, XianAsync
from xian_py.exception import XianException
from xian_py.models import TransactionSubmission

from ..chain.chi import TX_LIMIT
from ..chain.node import Node
from ..chain.rpc import Rpc
from ..chain.wallet import Account
from ..errors import NodeUnavailable, SettingError, TransactionFailed, WorkflowError
from ..settings import Settings
from .expected import Expected, read_source, same_source

CALL_CHI = 20_000
REFILL_BELOW = 0.5
"""The share of the target under which a wallet is filled up: else each run would pay a little."""

ITEM_PAYLOAD = "urn:workflow-backend:first-item"

type Report = dict[str, Any]


class SourceDiffers(WorkflowError):
    """The contract on the chain is another one than the source given."""

    hint = "a new source is deployed under a new name: set XIAN_WORKFLOW_CONTRACT"


def bootstrap(settings: Settings, *, check: bool) -> Report:
    """Do what is missing, or with `check` only say it; returns what was or would be done.

    Raises WorkflowError where key, chain or node are wrong, or the chain refuses.
    """
    expected = Expected.load(settings.environment)
    if expected.contract_source is None:
        raise SettingError("XIAN_WORKFLOW_CONTRACT_SOURCE is not set: give the contract's source")
    source = read_source(expected.contract_source)
    return asyncio.run(_bootstrap(settings, expected, source, check=check))


async def _bootstrap(settings: Settings, expected: Expected, source: str, *, check: bool) -> Report:
    key = settings.wallet_key()
    with Account(key) as account:
        async with Rpc(settings.node_url) as rpc:
            node = Node(rpc, settings.contract)
            await node.require_chain(settings.chain_id)
            async with XianAsync(
                settings.node_url, chain_id=settings.chain_id, wallet=Wallet(key)
            ) as client:
                job = _Job(node, client, account.address, check=check)
                await job.deploy(source)
                await job.add_workers(expected.workers)
                if expected.paid:
                    await job.fund(expected.accounts, expected.fund_target)
                item_id = settings.environment.get("XIAN_WORKFLOW_ITEM_ID")
                if item_id:
                    await job.submit(item_id)
                return job.report


class _Job:
    """One run: what is done is written into the report as it is done."""

    def __init__(self, node: Node, client: XianAsync, operator: str, *, check: bool) -> None:
        self._node = node
        self._client = client
        self._check = check
        self.report: Report = {
            "changed": False,
            "contract": node.contract,
            "operator": operator,
            "deployed": False,
            "workers_added": [],
            "funded": {},
            "item_submitted": None,
        }

    async def deploy(self, source: str) -> None:
        """Deploy the contract; raises SourceDiffers where another one has its name."""
        contract = self._node.contract
        found = await self._node.source()
        if found is not None:
            if not same_source(found, source):
                raise SourceDiffers(
                    f"{contract} on this chain has another source than the one given: "
                    "nothing was changed"
                )
            return
        await self._do(
            f"deploy {contract}",
            lambda: self._client.deploy_contract(
                contract, source, chi=TX_LIMIT, mode="checktx", wait_for_tx=True
            ),
        )
        self.report["deployed"] = True

    async def add_workers(self, workers: tuple[str, ...]) -> None:
        """Add the accounts that are no workers yet."""
        for worker in workers:
            if await self._node.is_worker(worker):
                continue
            await self._call(
                f"add worker {worker}", self._node.contract, "add_worker", {"account": worker}
            )
            self.report["workers_added"].append(worker)

    async def fund(self, accounts: tuple[str, ...], target: float) -> None:
        """Fill up every account that has less than half of the target."""
        for account in accounts:
            balance = await self._node.balance(account)
            if account == self.report["operator"] or balance >= target * REFILL_BELOW:
                continue
            amount = math.ceil(target - balance)
            await self._call(
                f"fund {account}", "currency", "transfer", {"amount": amount, "to": account}
            )
            self.report["funded"][account] = amount

    async def submit(self, item_id: str) -> None:
        """Submit the first item where there is none of this id."""
        if await self._node.item(item_id) is not None:
            return
        await self._call(
            f"submit item {item_id}",
            self._node.contract,
            "submit_item",
            {"item_id": item_id, "payload_uri": ITEM_PAYLOAD},
        )
        self.report["item_submitted"] = item_id

    async def _call(
        self, what: str, contract: str, function: str, arguments: dict[str, Any]
    ) -> None:
        await self._do(
            what,
            lambda: self._client.send_tx(
                contract, function, arguments, chi=CALL_CHI, mode="checktx", wait_for_tx=True
            ),
        )

    async def _do(self, what: str, send: Callable[[], Awaitable[TransactionSubmission]]) -> None:
        self.report["changed"] = True
        if self._check:
            return
        try:
            sent = await send()
        except XianException as error:
            raise NodeUnavailable(f"can't {what}: {error}") from error
        receipt = sent.receipt
        if receipt is None or not receipt.success:
            reason = receipt.message if receipt else sent.message
            raise TransactionFailed(f"can't {what}: {reason}")
