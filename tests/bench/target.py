"""What is measured: the development stack, and a contract of the benchmark's own on its node."""

import os
import uuid
from dataclasses import dataclass
from pathlib import Path

from xian_py import Wallet, XianAsync

SOURCE = Path(__file__).parents[2] / "contracts" / "con_job_workflow.s.py"


@dataclass(frozen=True)
class Target:
    """Where the stack is, and a fresh contract that none of its services works on.

    `key` is the wallet of the benchmark: a worker of that contract and nobody else's.
    """

    node_url: str
    chain_id: str
    contract: str
    key: str
    run: str

    def client(self) -> XianAsync:
        """Return the SDK's client with the benchmark's wallet."""
        return XianAsync(self.node_url, chain_id=self.chain_id, wallet=Wallet(self.key))

    def projection(self, folder: Path) -> dict[str, str]:
        """Return the environment of a service whose projection of that contract is in a folder."""
        return {
            "XIAN_CHAIN_ID": self.chain_id,
            "XIAN_WORKFLOW_CONTRACT": self.contract,
            "XIAN_WORKFLOW_PROJECTION_PATH": str(folder / "projection.sqlite3"),
        }


async def prepare() -> Target:
    """Deploy the benchmark's contract with the operator's key from the environment."""
    env = os.environ
    run = uuid.uuid4().hex[:8]
    wallet = Wallet()
    target = Target(
        node_url=env["XIAN_NODE_URL"],
        chain_id=env["XIAN_CHAIN_ID"],
        contract=f"con_bench_{run}",
        key=wallet.private_key,
        run=run,
    )
    operator = Wallet(env["XIAN_WALLET_PRIVATE_KEY"])
    async with XianAsync(target.node_url, chain_id=target.chain_id, wallet=operator) as client:
        source = SOURCE.read_text(encoding="utf-8")
        for send in (
            client.deploy_contract(target.contract, source, mode="checktx", wait_for_tx=True),
            client.send_tx(
                target.contract,
                "add_worker",
                {"account": wallet.public_key},
                mode="checktx",
                wait_for_tx=True,
            ),
        ):
            sent = await send
            if not sent.finalized:
                raise RuntimeError(f"the benchmark's contract can't be set up: {sent.message}")
    return target
