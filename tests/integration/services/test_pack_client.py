"""A client that knows only the SDK and the pack's function and event names, on a real node."""

from typing import Any

from node_harness import Node, wait_until
from xian_py import Wallet, XianAsync

from .stack import deploy

CONTRACT = "con_pack_client"
FIELDS = {
    "item_id",
    "requester",
    "kind",
    "payload_uri",
    "metadata_ref",
    "status",
    "worker",
    "result_uri",
    "failure_reason",
    "created_at",
    "updated_at",
}


async def test_the_packs_client_works_unchanged(node: Node) -> None:
    worker = Wallet()
    await deploy(node, CONTRACT, [])

    async def send(client: XianAsync, function: str, **kwargs: Any) -> bool:
        sent = await client.send_tx(CONTRACT, function, kwargs, mode="checktx", wait_for_tx=True)
        return bool(sent.finalized and sent.receipt.success)

    async with (
        XianAsync(node.url, chain_id=node.chain_id, wallet=Wallet(node.operator_key)) as operator,
        XianAsync(node.url, chain_id=node.chain_id, wallet=Wallet()) as requester,
        XianAsync(node.url, chain_id=node.chain_id, wallet=worker) as works,
    ):
        assert await send(operator, "add_worker", account=worker.public_key)
        assert await operator.call(CONTRACT, "is_worker", {"account": worker.public_key}) is True
        for item_id in ("done", "failed", "cancelled"):
            assert await send(
                requester, "submit_item", item_id=item_id, payload_uri="uri:1", kind="job"
            )
        assert await send(requester, "cancel_item", item_id="cancelled", reason="not needed")
        for item_id in ("done", "failed"):
            assert await send(works, "claim_item", item_id=item_id)
        assert await send(works, "complete_item", item_id="done", result_uri="uri:2")
        assert await send(works, "fail_item", item_id="failed", reason="no paper")
        item = await requester.call(CONTRACT, "get_item", {"item_id": "done"})
        unknown = await requester.call(CONTRACT, "get_item", {"item_id": "unknown"})
        assert set(item) >= FIELDS
        assert (item["status"], item["worker"]) == ("completed", worker.public_key)
        assert item["requester"] == requester.wallet.public_key
        assert unknown["status"] is None
        assert set(unknown) == set(item)
        wait_until(node.index_level, 30, "a level index")
        told = {
            "ItemSubmitted": 3,
            "ItemClaimed": 2,
            "ItemCompleted": 1,
            "ItemFailed": 1,
            "ItemCancelled": 1,
            "WorkerAdded": 1,
        }
        for event, number in told.items():
            assert len(await requester.list_events(CONTRACT, event)) == number
