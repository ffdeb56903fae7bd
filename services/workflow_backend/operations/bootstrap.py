"""The admin job: brings contract, workers, funds and the first item to the desired state.

Whatever is right already is left as it is, so it is safe to run again, and after a failure it goes
on where it was.
"""

import asyncio
import math
from typing import Any

from ..chain.chi import TX_LIMIT
from ..contract_versions import may_stand_for, number
from ..errors import SettingError, WorkflowError
from ..settings import Settings
from .desired_state import DesiredState, read_source
from .operator_client import OperatorClient

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
    expected = DesiredState.load(settings.environment)
    if expected.contract_source is None:
        raise SettingError("XIAN_WORKFLOW_CONTRACT_SOURCE is not set: give the contract's source")
    source = read_source(expected.contract_source)
    return asyncio.run(_bootstrap(settings, expected, source, check=check))


async def _bootstrap(
    settings: Settings, expected: DesiredState, source: str, *, check: bool
) -> Report:
    async with OperatorClient.open(settings, check=check) as sender:
        job = _Job(sender)
        await job.deploy(source)
        await job.remove_workers(expected.former_workers)
        await job.add_workers(expected.workers)
        if expected.paid:
            await job.fund(expected.accounts, expected.fund_target)
        item_id = settings.environment.get("XIAN_WORKFLOW_ITEM_ID")
        if item_id:
            await job.submit(item_id)
        return job.report | {"changed": sender.changed}


class _Job:
    """One run: what is done is written into the report as it is done."""

    def __init__(self, sender: OperatorClient) -> None:
        self._sender = sender
        self._node = sender.node
        self.report: Report = {
            "contract": self._node.contract,
            "operator": sender.address,
            "contract_version": None,
            "deployed": False,
            "workers_added": [],
            "workers_removed": [],
            "funded": {},
            "item_submitted": None,
        }

    async def deploy(self, source: str) -> None:
        """Deploy the contract, unless it is there; raises SourceDiffers where another one is.

        One of another released version stays: a chain keeps its contract, and the services speak
        every version.
        """
        contract = self._node.contract
        found = await self._node.source()
        if found is not None:
            self.report["contract_version"] = number(found)
            if not may_stand_for(found, source):
                raise SourceDiffers(
                    f"{contract} on this chain has another source than the one given: "
                    "nothing was changed"
                )
            return
        await self._sender.do(
            f"deploy {contract}",
            lambda: self._sender.client.deploy_contract(
                contract, source, chi=TX_LIMIT, mode="checktx", wait_for_tx=True
            ),
        )
        self.report |= {"deployed": True, "contract_version": number(source)}

    async def remove_workers(self, workers: tuple[str, ...]) -> None:
        """Remove those of the accounts that are workers still."""
        for worker in workers:
            if not await self._node.is_worker(worker):
                continue
            await self._sender.call(
                f"remove worker {worker}", self._node.contract, "remove_worker", {"account": worker}
            )
            self.report["workers_removed"].append(worker)

    async def add_workers(self, workers: tuple[str, ...]) -> None:
        """Add the accounts that are not workers yet."""
        for worker in workers:
            if await self._node.is_worker(worker):
                continue
            await self._sender.call(
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
            await self._sender.call(
                f"fund {account}", "currency", "transfer", {"amount": amount, "to": account}
            )
            self.report["funded"][account] = amount

    async def submit(self, item_id: str) -> None:
        """Submit the first item where there is none of this id."""
        if await self._node.item(item_id) is not None:
            return
        await self._sender.call(
            f"submit item {item_id}",
            self._node.contract,
            "submit_item",
            {"item_id": item_id, "payload_uri": ITEM_PAYLOAD},
        )
        self.report["item_submitted"] = item_id
