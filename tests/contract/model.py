"""The contract's rules in plain Python: what each version answers, tells and stores.

An item is its record as a dict, with all fields. Times are datetimes until they are stored.
"""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from workflow_backend.contract_versions import ContractVersion

from .jobs import AGENT, ALICE, DEFAULTS, OPERATOR, WALT, WANDA

REPORTS = {"complete": "completed", "fail": "failed", "release": "submitted"}
BEFORE = {"cancel": "submitted", "retry": "failed", "stop": "processing"}
LONGEST_AFTER = 8
NEW = {"priority", "not_before", "after"}
GIVEN = NEW | {"payload_uri", "metadata_ref", "kind", "client"}
FIRST_DEFAULTS = {
    name: value
    for name, value in DEFAULTS.items()
    if name not in NEW and not name.startswith("stop_")
}

type Item = dict[str, Any]
type Event = tuple[str, dict[str, Any]]


def record_digest(record: Item) -> str:
    """Return what the tombstone of a record holds: its fields as lines, in the alphabet's order."""
    lines = {**record, **({"after": " ".join(record["after"])} if "after" in record else {})}
    return sha256("\n".join(f"{name}={lines[name]}" for name in sorted(lines)).encode()).hexdigest()


class Model:
    """Everything that the contract knows; `told` collects the events of the current transaction."""

    def __init__(self, version: ContractVersion) -> None:
        self.version = version
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self.items: dict[str, Item] = {}
        self.ended: dict[str, str] = {}
        """How each archived item ended."""
        self.workers = {OPERATOR, WANDA, WALT}
        self.agents = {(ALICE, AGENT)}
        self.pauses: dict[str, int] = {}
        self.retention = 0
        self.named_events: list[Event] = []
        self.stored: dict[str, Item] = {}
        """The records as the contract stored them, of which the tombstones are made."""

    def moments(self) -> list[tuple[float, str]]:
        """Return when, from now on, something ends that keeps an item from an action: (time, id).

        That is a time to wait for, a pause, a lease or a retention.
        """
        times: list[tuple[float, str]] = []
        for item_id, item in self.items.items():
            if item["status"] == "submitted":
                times.append((float(item.get("not_before", 0)), item_id))
                times += [(float(until), item_id) for until in self.pauses.values()]
            if item["contested_at"] and item_id not in self.ended:
                since = datetime.fromisoformat(item["contested_at"]).replace(tzinfo=UTC)
                seconds = item["lease_seconds"] or self.retention
                times.append((since.timestamp() + seconds, item_id))
        return [(time, item_id) for time, item_id in times if time > self.now.timestamp()]

    def do(self, who: str, entry: dict[str, Any]) -> tuple[str, int]:
        """Do an entry; return the code and the attempt that the contract answers."""
        if (code := self._validity(entry)) != "ok":
            return code, 0
        item_id, action = entry["item_id"], entry["action"]
        if item_id in self.ended:
            return "archived", self.items[item_id]["attempt"]
        item = self.items.get(item_id)
        if item is None and action != "submit":
            return "missing", 0
        if item is None:
            return self._submit(who, entry), 0
        if action == "submit":
            return "exists", item["attempt"]
        code = getattr(self, f"_{action}", self._report)(who, entry, item)
        return code, item["attempt"]

    def _validity(self, entry: dict[str, Any]) -> str:
        if entry["action"] != "submit":
            return "ok"
        good = 0 <= entry.get("priority", 5) <= 9 and len(entry.get("after", [])) <= LONGEST_AFTER
        return "ok" if good else "invalid"

    def _write(self, item: Item, **fields: Any) -> None:
        item |= fields
        if self.version.capabilities:
            item["revision"] += 1

    def _move(self, item: Item, status: str, **fields: Any) -> None:
        fields = {"updated_at": self._stored(self.now), "contested_at": None, **fields}
        lease = 0 if status != "processing" else item["lease_seconds"]
        self._write(item, **{"lease_seconds": lease, **fields, "status": status})

    def _stored(self, time: datetime) -> str:
        return str(time.replace(tzinfo=None))

    def _tell(self, event: str, item: Item, **fields: Any) -> None:
        self.named_events.append((event, {"item_id": item["item_id"], **fields}))

    def _tell_submitted(self, item: Item) -> None:
        names = ["kind", "requester"]
        if self.version.capabilities:
            names += ["client", "priority"]
        self._tell("ItemSubmitted", item, **{name: item[name] for name in names})

    def _submit(self, who: str, entry: dict[str, Any]) -> str:
        if any(other not in self.items for other in entry.get("after", [])):
            return "missing"
        item = {
            **(DEFAULTS | {"revision": 0} if self.version.capabilities else FIRST_DEFAULTS),
            "kind": "job",
            **{name: value for name, value in entry.items() if name in GIVEN},
            "item_id": entry["item_id"],
            "requester": who,
            "created_at": self._stored(self.now),
            "attempt": 0,
        }
        self.items[entry["item_id"]] = item
        self._move(item, "submitted")
        self._tell_submitted(item)
        return "ok"

    def _has_passed(self, item: Item, seconds: int) -> bool:
        if item["contested_at"] is None:
            if item["updated_at"] != self._stored(self.now):
                self._write(item, contested_at=self._stored(self.now))
            return False
        since = datetime.fromisoformat(item["contested_at"]).replace(tzinfo=UTC)
        return self.now >= since + timedelta(seconds=seconds)

    def _is_paused(self, kind: str) -> bool:
        now = self.now.timestamp()
        return any(name in self.pauses and not 0 < self.pauses[name] <= now for name in (kind, "*"))

    def _is_completed(self, item_id: str) -> bool:
        return "completed" in {self.items[item_id]["status"], self.ended.get(item_id)}

    def _claim(self, who: str, entry: dict[str, Any], item: Item) -> str:
        held = item["status"] == "processing"
        if held and item.get("stop_requested_at"):
            if not self._has_passed(item, item["lease_seconds"]):
                return "leased"
            self._end(who, item, "")
            return "stopping"
        if (code := self._claimable(who, item)) != "ok":
            return code
        if held and not self._has_passed(item, item["lease_seconds"]):
            return "leased"
        lease = entry["lease_seconds"] or 300
        attempt = item["attempt"] + 1
        self._move(item, "processing", worker=who, attempt=attempt, lease_seconds=lease)
        self._tell("ItemClaimed", item, worker=who, requester=item["requester"])
        return "ok"

    def _claimable(self, who: str, item: Item) -> str:
        status, waits_for = item["status"], item.get("after", [])
        refusals = (
            (who not in self.workers, "forbidden"),
            (status not in {"submitted", "processing"}, "state"),
            (status == "processing" and item["worker"] == who, "state"),
            (item.get("not_before", 0) > self.now.timestamp(), "early"),
            (not all(self._is_completed(other) for other in waits_for), "waiting"),
            (self._is_paused(item["kind"]), "paused"),
        )
        return next((code for refused, code in refusals if refused), "ok")

    def _report(self, who: str, entry: dict[str, Any], item: Item) -> str:
        if who not in self.workers:
            return "forbidden"
        if entry["attempt"] not in {0, item["attempt"]}:
            return "stale"
        if item["status"] != "processing":
            return "state"
        if item["worker"] != who:
            return "forbidden"
        action = entry["action"]
        if action in {"renew", "release"} and item.get("stop_requested_at"):
            return "stopping"
        if action == "renew":
            lease = entry["lease_seconds"] or item["lease_seconds"]
            self._move(item, "processing", lease_seconds=lease)
        elif action == "complete":
            self._move(item, "completed", result_uri=entry["result_uri"])
            self._tell("ItemCompleted", item, worker=who, result_uri=entry["result_uri"])
        elif action == "fail":
            self._move(item, "failed", failure_reason=entry["reason"])
            self._tell("ItemFailed", item, worker=who, reason=entry["reason"])
        else:
            self._move(item, "submitted", worker="")
            self._tell_submitted(item)
        return "ok"

    def _end(self, who: str, item: Item, reason: str) -> None:
        reason = reason or item.get("stop_reason", "")
        self._move(item, "cancelled", failure_reason=reason)
        self._tell("ItemCancelled", item, actor=who, reason=reason)

    def _cancel(self, who: str, entry: dict[str, Any], item: Item) -> str:
        is_holder = item["status"] == "processing" and item["worker"] == who
        if is_holder and item.get("stop_requested_at"):
            if who not in self.workers:
                return "forbidden"
            if entry["attempt"] not in {0, item["attempt"]}:
                return "stale"
        elif (code := self._direct(who, "cancel", item)) != "ok":
            return code
        self._end(who, item, entry["reason"])
        return "ok"

    def _retry(self, who: str, _entry: dict[str, Any], item: Item) -> str:
        if (code := self._direct(who, "retry", item)) != "ok":
            return code
        self._move(item, "submitted", worker="", failure_reason="")
        self._tell_submitted(item)
        return "ok"

    def _stop(self, who: str, entry: dict[str, Any], item: Item) -> str:
        action = "cancel" if item["status"] == "submitted" else "stop"
        if (code := self._direct(who, action, item)) != "ok":
            return code
        if action == "cancel":
            self._end(who, item, entry["reason"])
            return "ok"
        note = {"stop_requested_at": self._stored(self.now), "stop_requested_by": who}
        self._write(item, **note, stop_reason=entry["reason"])
        self._tell("ItemStopRequested", item, actor=who, reason=entry["reason"])
        return "ok"

    def _direct(self, who: str, action: str, item: Item) -> str:
        requester = item["requester"]
        if who not in {requester, OPERATOR} and (requester, who) not in self.agents:
            return "forbidden"
        if item["status"] != BEFORE[action]:
            return "state"
        return "stopping" if item.get("stop_requested_at") else "ok"

    def _archive(self, who: str, _entry: dict[str, Any], item: Item) -> str:
        if item["status"] in {"submitted", "processing"}:
            return "state"
        if not self.retention or not self._has_passed(item, self.retention):
            return "early"
        self.ended[item["item_id"]] = item["status"]
        digest = record_digest(self.stored[item["item_id"]])
        self._tell("ItemArchived", item, actor=who, ended=item["status"], digest=digest)
        return "ok"
