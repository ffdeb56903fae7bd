"""A client that knows only the pack's functions, events and fields can follow every item."""

from typing import Any

from .jobs import ALICE, OPERATOR, WALT, WANDA, Jobs
from .vm import Receipt

PACK_FIELDS = {
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
AFTER = {
    "ItemSubmitted": "submitted",
    "ItemClaimed": "processing",
    "ItemCompleted": "completed",
    "ItemFailed": "failed",
    "ItemCancelled": "cancelled",
}
EVENT_FIELDS = {
    "ItemSubmitted": ({"item_id", "kind", "requester"}, set()),
    "ItemClaimed": ({"item_id", "worker"}, {"requester"}),
    "ItemCompleted": ({"item_id", "worker"}, {"result_uri"}),
    "ItemFailed": ({"item_id", "worker"}, {"reason"}),
    "ItemCancelled": ({"item_id", "actor"}, {"reason"}),
    "WorkerAdded": ({"account", "actor"}, set()),
    "WorkerRemoved": ({"account", "actor"}, set()),
}


def test_functions_work_without_new_arguments(jobs: Jobs) -> None:
    jobs.send(ALICE, "submit_item", item_id="a", payload_uri="p", kind="job", metadata_ref="")
    jobs.send(WANDA, "claim_item", item_id="a")
    jobs.send(WANDA, "complete_item", item_id="a", result_uri="r")
    jobs.send(ALICE, "submit_item", item_id="b", payload_uri="p")
    jobs.send(WANDA, "claim_item", item_id="b")
    jobs.send(WANDA, "fail_item", item_id="b", reason="broken")
    jobs.send(ALICE, "submit_item", item_id="c", payload_uri="p")
    jobs.send(ALICE, "cancel_item", item_id="c")
    for item_id, status in {"a": "completed", "b": "failed", "c": "cancelled"}.items():
        item = jobs.read("get_item", item_id=item_id)
        assert item.keys() >= PACK_FIELDS
        assert item["status"] == status
    assert jobs.read("get_item", item_id="a")["result_uri"] == "r"
    assert jobs.read("get_item", item_id="b")["failure_reason"] == "broken"


def test_second_claim_of_an_item_fails(jobs: Jobs) -> None:
    jobs.put("submitted")
    jobs.send(WANDA, "claim_item", item_id="i")
    jobs.chain.block()
    jobs.refusal(WALT, "claim_item", item_id="i")
    jobs.refusal(WALT, "complete_item", item_id="i", result_uri="r")
    assert jobs.record()["worker"] == WANDA


def test_events_report_every_change_of_status(jobs: Jobs) -> None:
    last_events: dict[str, tuple[str, dict[str, Any]]] = {}
    kinds: set[str] = set()

    def follow(receipt: Receipt) -> None:
        for event in receipt.events:
            kinds.add(event["event"])
            indexed, plain = EVENT_FIELDS[event["event"]]
            if event["event"] == "ItemSubmitted" and jobs.can("priority"):
                plain = {"client", "priority"}
            assert (set(event["data_indexed"]), set(event["data"])) == (indexed, plain)
        for name, fields in receipt.named_events:
            if "item_id" in fields:
                last_events[fields["item_id"]] = AFTER[name], fields
        for item_id, (status, fields) in last_events.items():
            record = jobs.record(item_id)
            assert record["status"] == status
            assert record["worker"] == fields.get("worker", record["worker"])

    send = jobs.send
    follow(send(OPERATOR, "add_worker", account=ALICE))
    follow(send(OPERATOR, "remove_worker", account=ALICE))
    follow(send(ALICE, "submit_item", item_id="i", payload_uri="p"))
    follow(send(WANDA, "claim_item", item_id="i"))
    follow(send(WANDA, "release_item", item_id="i"))
    follow(send(WANDA, "claim_item", item_id="i", lease_seconds=5))
    jobs.chain.block()
    follow(send(WALT, "claim_items", item_ids=["i"]))
    jobs.chain.block(5)
    follow(send(WALT, "claim_items", item_ids=["i"]))
    follow(send(WALT, "renew_item", item_id="i"))
    follow(send(WALT, "fail_item", item_id="i", reason="broken"))
    follow(send(ALICE, "retry_item", item_id="i"))
    follow(send(WANDA, "claim_item", item_id="i"))
    follow(send(WANDA, "complete_item", item_id="i", result_uri="r"))
    follow(send(ALICE, "submit_item", item_id="j", payload_uri="p"))
    follow(send(ALICE, "cancel_item", item_id="j"))
    assert kinds == set(EVENT_FIELDS)
