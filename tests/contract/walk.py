"""A random walk: people act on a contract and on its model, and both have to agree.

Beside the model stand a few rules of their own, which know only what was answered: nobody claims
early, in a pause or before what comes first, an item has one holder at a time, nobody runs it again
after a stop, and nothing is archived before its time. A step is one action of one person.
"""

import copy
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .jobs import AGENT, ALICE, OPERATOR, STRANGER, WALT, WANDA, Jobs
from .model import Event, Item, Model
from .vm import Refused

PEOPLE = (ALICE, AGENT, OPERATOR, WANDA, WALT, STRANGER)
WEIGHTS = (4, 2, 4, 4, 4, 1)
FIRST_ACTIONS = {
    "submit": 3,
    "claim": 6,
    "complete": 2,
    "fail": 2,
    "release": 1,
    "renew": 2,
    "cancel": 2,
    "retry": 2,
}
ACTIONS = {**FIRST_ACTIONS, "stop": 2, "archive": 3}
FIELDS = {
    "submit": ("payload_uri", "kind", "client", "priority", "not_before", "after"),
    "claim": ("lease_seconds",),
    "complete": ("result_uri", "attempt"),
    "fail": ("reason", "attempt"),
    "renew": ("attempt", "lease_seconds"),
    "release": ("attempt",),
    "cancel": ("reason",),
    "retry": (),
    "stop": ("reason",),
}
"""What the functions for one item take."""
LIKELY = {
    "submitted": ("claim",),
    "processing": ("claim", "claim", "complete", "fail", "renew", "release", "stop"),
    "failed": ("archive", "archive", "retry", "retry"),
}
"""What moves an item on."""
BLOCKS = (0.25, 1, 1, 5, 300)
BESIDE = (-1, -0.000001, 0, 0, 0.000001, 1)
"""So many seconds from the moment at which something ends is where rules break."""
POOL = 5
"""So many items are busy at a time."""
BATCH = 20


class Broken(AssertionError):
    """The contract broke a rule."""


@dataclass
class Watch:
    """What was answered of one item."""

    not_before: int = 0
    after: tuple[str, ...] = ()
    kind: str = "job"
    holder: str = ""
    lease: int = 0
    ended: str = ""
    is_over: bool = False
    """Nobody may run it again."""
    block: int = 0
    """The block of the claim, the last renewal or the end."""


@dataclass
class Rules:
    """The rules that know only answers; `times` are those of the blocks so far."""

    times: list[datetime]
    items: dict[str, Watch] = field(default_factory=dict)
    pauses: dict[str, int] = field(default_factory=dict)
    retention: int = 0

    def follow(self, who: str, entry: dict[str, Any], code: str) -> None:
        """Take note of an answer; raises Broken where it should not have been given."""
        action = entry["action"]
        if action == "submit" and code == "ok":
            require(entry["item_id"] not in self.items, "an id was used twice")
            self.items[entry["item_id"]] = Watch(
                entry.get("not_before", 0), tuple(entry.get("after", ())), entry.get("kind", "job")
            )
        elif action == "claim" and code == "stopping":
            self._end(self.items[entry["item_id"]], "cancelled", is_over=True)
        elif code == "ok":
            getattr(self, f"_{action}", self._report)(who, entry, self.items[entry["item_id"]])

    def _has_passed(self, since: int, seconds: int) -> bool:
        """Tell whether so many seconds have passed since a block was made.

        That is the time of the block after it.
        """
        is_later = since + 1 < len(self.times)
        return is_later and self.times[-1] >= self.times[since + 1] + timedelta(seconds=seconds)

    def _claim(self, who: str, entry: dict[str, Any], item: Watch) -> None:
        now = self.times[-1].timestamp()
        require(not item.is_over and item.ended != "completed", "an item ran again")
        require(item.not_before <= now, "claimed early")
        require(
            all(self.items[other].ended == "completed" for other in item.after),
            "claimed before what comes first",
        )
        for name in (item.kind, "*"):
            require(name not in self.pauses or 0 < self.pauses[name] <= now, "claimed in a pause")
        require(
            not item.holder or (item.holder != who and self._has_passed(item.block, item.lease)),
            "two holders",
        )
        item.holder, item.lease, item.ended = who, entry["lease_seconds"] or 300, ""
        item.block = len(self.times) - 1

    def _renew(self, who: str, entry: dict[str, Any], item: Watch) -> None:
        require(item.holder == who and not item.is_over, "renewed by another, or after a stop")
        item.lease = entry["lease_seconds"] or item.lease
        item.block = len(self.times) - 1

    def _report(self, who: str, entry: dict[str, Any], item: Watch) -> None:
        require(item.holder == who, "reported by another than the holder")
        require(entry["action"] != "release" or not item.is_over, "released after a stop")
        ended = {"complete": "completed", "fail": "failed", "release": ""}[entry["action"]]
        self._end(item, ended, is_over=item.is_over)

    def _cancel(self, who: str, _entry: dict[str, Any], item: Watch) -> None:
        require(not item.holder or (item.holder == who and item.is_over), "cancelled while it ran")
        self._end(item, "cancelled", is_over=True)

    def _retry(self, _who: str, _entry: dict[str, Any], item: Watch) -> None:
        require(item.ended == "failed" and not item.is_over, "retried what is over")
        item.ended = ""

    def _stop(self, _who: str, _entry: dict[str, Any], item: Watch) -> None:
        if not item.holder:
            self._end(item, "cancelled", is_over=True)
        item.is_over = True

    def _archive(self, _who: str, _entry: dict[str, Any], item: Watch) -> None:
        require(bool(item.ended), "archived what had not ended")
        require(
            self.retention > 0 and self._has_passed(item.block, self.retention), "archived early"
        )
        item.is_over = True

    def _end(self, item: Watch, ended: str, *, is_over: bool) -> None:
        item.holder, item.ended, item.is_over = "", ended, is_over
        item.block = len(self.times) - 1


def require(holds: bool, rule: str) -> None:
    if not holds:
        raise Broken(rule)


class Walk:
    """One walk on a contract that was just deployed; the seed decides it."""

    def __init__(self, jobs: Jobs, seed: int) -> None:
        self._jobs = jobs
        self._random = random.Random(seed)  # noqa: S311  # it decides a test, not a secret
        self._model = Model(jobs.version)
        self._model.now = jobs.chain.now
        self._rules = Rules([jobs.chain.now])
        self._actions = ACTIONS if jobs.can("stop") else FIRST_ACTIONS
        self._ids = ["i0"]
        self._focus = ""
        self.steps = 0

    def run(self, steps: int) -> None:
        """Walk so many steps; raises Broken or Refused where the contract goes another way."""
        while self.steps < steps:
            chance = self._random.random()
            if chance < 0.4:
                self._block()
            elif chance < 0.47 and self._jobs.can("pause"):
                self._operator_acts()
            elif chance < 0.5:
                self._membership()
            elif chance < 0.55:
                self._single()
            else:
                self._batch()

    def _block(self) -> None:
        seconds, self._focus = self._random.choice(BLOCKS), ""
        if (moments := self._model.moments()) and self._random.random() < 0.7:
            moment, self._focus = self._random.choice(moments)
            beside = self._random.choice(BESIDE)
            seconds = max(moment - self._model.now.timestamp() + beside, 0.000001)
        self._jobs.chain.commit()
        self._jobs.chain.block(seconds)
        self._model.now = self._jobs.chain.now
        self._rules.times.append(self._jobs.chain.now)

    def _seconds(self) -> int:
        return int(self._model.now.timestamp()) + self._random.choice((-1, 0, 1, 5, 60))

    def _operator_acts(self) -> None:
        self.steps += 1
        kind, until = self._random.choice(("job", "order", "*")), self._random.choice((0, 1, 1))
        if self._random.random() < 0.3:
            seconds = self._random.choice((0, 5, 5, 60))
            self._jobs.send(OPERATOR, "set_retention", seconds=seconds)
            self._model.retention = self._rules.retention = seconds
        elif kind in self._model.pauses:
            self._jobs.send(OPERATOR, "resume_claims", kind=kind)
            del self._model.pauses[kind], self._rules.pauses[kind]
        elif self._random.random() < 0.5:
            until = until and self._seconds()
            self._jobs.send(OPERATOR, "pause_claims", kind=kind, until=until)
            self._model.pauses[kind] = self._rules.pauses[kind] = until

    def _membership(self) -> None:
        self.steps += 1
        if WALT in self._model.workers and self._random.random() < 0.3:
            self._jobs.send(OPERATOR, "remove_worker", account=WALT)
            self._model.workers.remove(WALT)
        elif WALT not in self._model.workers:
            self._jobs.send(OPERATOR, "add_worker", account=WALT)
            self._model.workers.add(WALT)

    def _person(self) -> str:
        holders: list[str] = [
            item["worker"]
            for item_id in self._ids[-POOL:]
            if (item := self._model.items.get(item_id)) and item["status"] == "processing"
        ]
        if holders and self._random.random() < 0.3:
            return self._random.choice(holders)
        return self._random.choices(PEOPLE, WEIGHTS)[0]

    def _entry(self) -> dict[str, Any]:
        choose = self._random.choice
        action = self._random.choices([*self._actions], [*self._actions.values()])[0]
        item_id = choose(self._ids[-POOL:])
        if self._focus and self._random.random() < 0.3:
            item_id = self._focus
        elif self._random.random() < 0.05:
            item_id = choose(self._ids)
        if item_id in self._model.items and self._random.random() < 0.7:
            likely = LIKELY.get(self._model.items[item_id]["status"], ("archive",))
            action = choose([action, *(each for each in likely if each in self._actions)])
        elif action == "submit" and self._random.random() < 0.7:
            item_id = f"i{len(self._ids)}"
            self._ids.append(item_id)
        entry = {"action": action, "item_id": item_id, "attempt": choose((0, 0, 0, 1, 2))}
        entry |= {"lease_seconds": choose((0, 0, 5, 60)), "reason": choose(("", "why", "it's"))}
        entry |= {"payload_uri": "p", "result_uri": choose(("", "r"))}
        if action == "submit":
            entry |= {"kind": choose(("job", "order")), "client": choose(("", "web-shop"))}
            if self._jobs.can("after"):
                entry |= self._schedule()
        return entry

    def _schedule(self) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if self._random.random() < 0.3:
            fields["priority"] = self._random.choice((0, 5, 9, 10))
        if self._random.random() < 0.3:
            fields["not_before"] = self._seconds()
        if self._random.random() < 0.5:
            size = self._random.choice((0, 1, 1, 1, 2, 2, 3, 9))
            known = [*self._ids[-POOL:], *list(self._model.ended)[-POOL:]]
            fields["after"] = self._random.choices(known, k=size)
        return fields

    def _batch(self) -> None:
        who = self._person()
        batch = [self._entry() for _ in range(self._random.randint(1, BATCH))]
        self.steps += len(batch)
        self._model.named_events = []
        expected = [self._model.do(who, entry) for entry in batch]
        receipt = self._jobs.send(who, "apply_items", batch=batch)
        answers = [
            (answer.partition(":")[0], attempt) for answer, attempt in self._jobs.decode(receipt)
        ]
        for entry, (code, _) in zip(batch, answers, strict=True):
            self._rules.follow(who, entry, code)
        wrong = [
            (who, entry, answer, model)
            for entry, answer, model in zip(batch, answers, expected, strict=True)
            if answer != model
        ]
        self._compare(batch, wrong, receipt.named_events)

    def _single(self) -> None:
        who, entry = self._person(), self._entry()
        action = entry["action"]
        if action not in FIELDS:
            return
        self.steps += 1
        arguments = {name: entry[name] for name in FIELDS[action] if name in entry}
        before = copy.deepcopy(self._model.items.get(entry["item_id"]))
        self._model.named_events = []
        entry = {"attempt": 0, **arguments, "action": action, "item_id": entry["item_id"]}
        code, _ = self._model.do(who, {"lease_seconds": 0, "reason": "", **entry})
        told: list[Event] = []
        try:
            receipt = self._jobs.send(who, f"{action}_item", item_id=entry["item_id"], **arguments)
        except Refused as refused:
            answer = str(refused).partition(":")[0]
            self._model.named_events = []
            self._put_back(entry["item_id"], before)
        else:
            answer, told = "ok", receipt.named_events
            self._rules.follow(who, {"lease_seconds": 0, **entry}, "ok")
        self._compare([entry], [(who, entry, answer, code)] if answer != code else [], told)

    def _put_back(self, item_id: str, before: Item | None) -> None:
        if before is None:
            self._model.items.pop(item_id, None)
        else:
            self._model.items[item_id] = before

    def _compare(self, batch: list[dict[str, Any]], wrong: list[Any], told: list[Event]) -> None:
        require(not wrong, f"answers differ from the model's: {wrong}")
        require(
            told == self._model.named_events,
            f"events differ: {told}, the model's: {self._model.named_events}",
        )
        for item_id in {entry["item_id"] for entry in batch}:
            stored = self._jobs.stored(item_id)
            if item_id in self._model.ended:
                last = {"item_id": item_id, "ended": self._model.ended[item_id]}
                require(
                    stored.items() >= {**last, "status": "archived"}.items()
                    and stored["digest"] is not None,
                    "the tombstone differs",
                )
            else:
                record, model = self._jobs.record(item_id), self._model.items.get(item_id)
                require(record == model, f"the record is {record}, the model's {model}")
                self._model.stored[item_id] = stored
