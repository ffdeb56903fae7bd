"""Whatever people send in whatever order and blocks, the contract does what a plain model says."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from .jobs import AGENT, ALICE, OPERATOR, STRANGER, WALT, WANDA, Jobs

IDS = ("x", "y")
WORKERS = {OPERATOR, WANDA, WALT}
PEOPLE = (ALICE, AGENT, OPERATOR, WANDA, WALT, STRANGER)
REPORTS = {"complete": "completed", "fail": "failed", "release": "submitted"}


class Model:
    """The rules in Python: an item is a dict, times are seconds."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.now = 0

    def do(self, who: str, entry: dict[str, Any]) -> tuple[str, int]:
        item = self.items.get(entry["item_id"])
        action = entry["action"]
        if action == "submit":
            if item is not None:
                return "exists", item["attempt"]
            self.items[entry["item_id"]] = {
                "status": "submitted",
                "requester": who,
                "worker": "",
                "attempt": 0,
            }
            return "ok", 0
        if item is None:
            return "missing", 0
        code = getattr(self, f"_{action}", self._report)(who, entry, item)
        return code, item["attempt"]

    def _claim(self, who: str, entry: dict[str, Any], item: dict[str, Any]) -> str:
        if who not in WORKERS:
            return "forbidden"
        if item["status"] == "processing" and item["worker"] != who:
            if item["contested"] is None:
                if item["since"] != self.now:
                    item["contested"] = self.now
                return "leased"
            if self.now < item["contested"] + item["lease"]:
                return "leased"
        elif item["status"] != "submitted":
            return "state"
        item |= {"status": "processing", "worker": who, "attempt": item["attempt"] + 1}
        item |= {"lease": entry["lease_seconds"] or 300, "since": self.now, "contested": None}
        return "ok"

    def _report(self, who: str, entry: dict[str, Any], item: dict[str, Any]) -> str:
        if who not in WORKERS:
            return "forbidden"
        if entry["attempt"] not in {0, item["attempt"]}:
            return "stale"
        if item["status"] != "processing":
            return "state"
        if item["worker"] != who:
            return "forbidden"
        if entry["action"] == "renew":
            item |= {"since": self.now, "contested": None}
            item["lease"] = entry["lease_seconds"] or item["lease"]
            return "ok"
        item["status"] = REPORTS[entry["action"]]
        if item["status"] == "submitted":
            item["worker"] = ""
        return "ok"

    def _direct(self, who: str, item: dict[str, Any], before: str, after: str) -> str:
        if who not in {item["requester"], OPERATOR} and (item["requester"], who) != (ALICE, AGENT):
            return "forbidden"
        if item["status"] != before:
            return "state"
        item["status"] = after
        return "ok"

    def _cancel(self, who: str, _entry: dict[str, Any], item: dict[str, Any]) -> str:
        return self._direct(who, item, "submitted", "cancelled")

    def _retry(self, who: str, _entry: dict[str, Any], item: dict[str, Any]) -> str:
        code = self._direct(who, item, "failed", "submitted")
        if code == "ok":
            item["worker"] = ""
        return code


entries = st.fixed_dictionaries(
    {
        "action": st.sampled_from(["submit", *["claim"] * 3, *REPORTS, "renew", "cancel", "retry"]),
        "item_id": st.sampled_from(IDS),
        "attempt": st.integers(0, 3),
        "lease_seconds": st.sampled_from((0, 5, 60)),
        "payload_uri": st.just("p"),
        "result_uri": st.just("r"),
        "reason": st.just("r"),
    }
)


class Machine(RuleBasedStateMachine):
    def __init__(self, jobs: Jobs) -> None:
        super().__init__()
        self.jobs = jobs
        self.saved = self.jobs.chain.unchanged()
        self.saved.__enter__()
        self.model = Model()

    def teardown(self) -> None:
        self.saved.__exit__(None, None, None)

    @initialize()
    def an_item_of_alice(self) -> None:
        self.transaction(ALICE, [{"action": "submit", "item_id": "x", "payload_uri": "p"}])

    @rule(seconds=st.sampled_from((1, 4, 5, 59, 60, 300)))
    def block(self, seconds: int) -> None:
        self.jobs.chain.block(seconds)
        self.model.now += seconds

    @rule(who=st.sampled_from(PEOPLE), batch=st.lists(entries, min_size=1, max_size=12))
    def transaction(self, who: str, batch: list[dict[str, Any]]) -> None:
        expected = [self.model.do(who, entry) for entry in batch]
        answers = self.jobs.apply(who, *batch)
        assert [(answer.partition(":")[0], n) for answer, n in answers] == expected

    @rule(batch=st.lists(entries, min_size=1, max_size=12))
    def transaction_of_workers(self, batch: list[dict[str, Any]]) -> None:
        for who in (WANDA, WALT):
            self.transaction(who, batch)

    @invariant()
    def records_agree(self) -> None:
        for item_id in IDS:
            item, record = self.model.items.get(item_id), self.jobs.record(item_id)
            assert (item is None) == (record is None)
            if item is None:
                continue
            held = item["status"] == "processing"
            for name in ("status", "requester", "worker", "attempt"):
                assert record[name] == item[name], name
            assert record["lease_seconds"] == (item["lease"] if held else 0)
            contested = held and item["contested"] is not None
            assert (record["contested_at"] is not None) == contested


def test_the_contract_does_what_the_model_says(jobs: Jobs) -> None:
    run_state_machine_as_test(
        lambda: Machine(jobs),  # type: ignore[arg-type]  # any maker of machines will do
        settings=settings(
            max_examples=60,
            stateful_step_count=15,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
