"""Health: everything on this host is looked at side by side, within a few seconds."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from .. import heartbeat
from ..chain.node import ChainStatus, IndexStatus, Node
from ..chain.rpc import Rpc
from ..client import ApiClient, ApiError, ApiUnavailable
from ..errors import NodeUnavailable, WorkflowError
from ..redaction import redact
from ..settings import Settings
from ..store import open_store
from ..times import rfc3339
from . import judge
from .disks import file_systems
from .expected import Expected, read_source
from .judge import Check, State
from .snapshots.journal import Journal

BEAT_SECONDS = 3.0
"""A service beats each second: without a beat in this time it is stopped or hangs."""

STILL_SECONDS = 5.0
"""An index that is behind, or a chain with work before it, must move within this time."""

ANSWER_SECONDS = 5.0

POLL_SECONDS = 0.2


class Found(NamedTuple):
    """All checks, in a fixed order, and the height of a node that catches up; None where it has."""

    checks: list[Check]
    catching_up: int | None = None


async def wait_for_health(
    settings: Settings, seconds: float, look: Callable[[Settings], Awaitable[Found]] | None = None
) -> list[Check]:
    """Check again and again until all is well or the time is over; returns the last checks.

    The time begins anew with each block that a node takes in which catches up with its network:
    how long that takes nobody knows beforehand, and it ends once no more of them come.
    """
    look = look or check_health
    deadline = _now() + seconds
    height = 0
    while True:
        found = await look(settings)
        if found.catching_up is not None and found.catching_up > height:
            height, deadline = found.catching_up, _now() + seconds
        if judge.all_well(found.checks) or _now() > deadline:
            return found.checks
        await asyncio.sleep(POLL_SECONDS)


def _now() -> float:
    return time.monotonic()


async def check_health(settings: Settings) -> Found:
    """Look at everything; raises SettingError where a setting is wrong."""
    expected = Expected.load(settings.environment)
    source = read_source(expected.contract_source) if expected.contract_source else None
    beats = {name: _Beat(name, path) for name, path in expected.services.items()}
    async with Rpc(settings.node_url) as rpc:
        look = _Look(settings, expected, Node(rpc, settings.contract), source)
        parts = await asyncio.gather(
            look.chain(), *(beat.check() for beat in beats.values()), look.api(), look.disks()
        )
        parts.append(await asyncio.to_thread(check_restore, expected.node_home))
        if "projector" in beats:
            parts.append(await look.projection(beats["projector"]))
    return Found([check for part in parts for check in part], look.catching_up)


def check_restore(home: Path | None) -> list[Check]:
    """Look for a restore that was not brought to its end; there is nothing to tell of none."""
    if home is None:
        return []
    try:
        entry = Journal(home).read()
    except PermissionError:
        return []  # who may not look into the node's folder is not the one to end it
    except (OSError, WorkflowError) as error:
        return [Check("restore", State.FAILED, str(error))]
    return [judge.restore(entry.name, entry.begun_at, entry.phase)] if entry else []


class _Look:
    """The looks at node, chain, contract, API, disks and projection."""

    def __init__(
        self, settings: Settings, expected: Expected, node: Node, source: str | None
    ) -> None:
        self._settings = settings
        self._expected = expected
        self._node = node
        self._source = source
        self._indexed: int | None = None
        self._node_seen = asyncio.Event()
        self._frozen = False
        self.catching_up: int | None = None

    async def chain(self) -> list[Check]:
        """Look at the node and, where it is the right one, at all that it can tell."""
        accounts = self._expected.accounts if self._expected.paid else ()
        others: list[tuple[str, Callable[[ChainStatus], Coroutine[Any, Any, Check]]]] = [
            ("blocks", self._blocks),
            *([("index", self._index)] if self._expected.index else []),
            *([("contract", self._contract)] if self._expected.contract else []),
            *(("worker", partial(self._worker, account)) for account in self._expected.workers),
            *(
                ("former worker", partial(self._former_worker, account))
                for account in self._expected.former_workers
            ),
            *(("wallet", partial(self._wallet, account)) for account in accounts),
        ]
        try:
            status = await self._answer(self._node.status())
            reached = await self._frozen_app() or judge.chain(status, self._settings.chain_id)
        except WorkflowError as error:
            reached = Check("node", State.FAILED, str(error), error.hint)
        else:
            self.catching_up = status.height if status.catching_up else None
            if not self._frozen and status.chain_id == self._settings.chain_id:
                found = [_guarded(name, other(status)) for name, other in others]
                return [reached, *await asyncio.gather(*found)]
        finally:
            self._node_seen.set()
        return [reached, *(Check(name, State.UNKNOWN, "see the node") for name, _ in others)]

    async def _frozen_app(self) -> Check | None:
        """Ask the app itself: CometBFT goes on answering for one that does nothing any more."""
        try:
            await asyncio.wait_for(self._node.rpc.call("abci_info"), ANSWER_SECONDS)
        except TimeoutError:
            self._frozen = True
            return judge.frozen_app(ANSWER_SECONDS)
        return None

    async def _blocks(self, before: ChainStatus) -> Check:
        after, waiting = before, await self._waiting()
        deadline = time.monotonic() + STILL_SECONDS
        while waiting and after.height == before.height and time.monotonic() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            after, waiting = await self._answer(self._node.status()), await self._waiting()
        return judge.blocks(before, after, waiting, self._expected.block_age, datetime.now(UTC))

    async def _waiting(self) -> int:
        return int((await self._answer(self._node.rpc.call("num_unconfirmed_txs")))["n_txs"])

    async def _index(self, status: ChainStatus) -> Check:
        before = after = await self._index_status()
        deadline = time.monotonic() + STILL_SECONDS
        while (
            (after.lag or after.ahead)
            and after.height == before.height
            and time.monotonic() < deadline
        ):
            await asyncio.sleep(POLL_SECONDS)
            after = await self._index_status()
        self._indexed = after.height
        return judge.index(before, after, STILL_SECONDS, status.base)

    async def _index_status(self) -> IndexStatus:
        return await self._answer(self._node.index_status())

    async def _contract(self, _: ChainStatus) -> Check:
        found = await self._answer(self._node.source())
        return judge.contract(self._node.contract, found, self._source)

    async def _worker(self, account: str, _: ChainStatus) -> Check:
        return judge.worker(account, await self._answer(self._node.is_worker(account)))

    async def _former_worker(self, account: str, _: ChainStatus) -> Check:
        return judge.former_worker(account, await self._answer(self._node.is_worker(account)))

    async def _wallet(self, account: str, _: ChainStatus) -> Check:
        balance = await self._answer(self._node.balance(account))
        return judge.wallet(account, balance, self._expected.fund_target)

    async def _answer[T](self, question: Awaitable[T]) -> T:
        try:
            return await asyncio.wait_for(question, ANSWER_SECONDS)
        except TimeoutError:
            url = self._settings.node_url
            raise NodeUnavailable(
                f"no answer from the node at {url} in {ANSWER_SECONDS:g} s"
            ) from None

    async def api(self) -> list[Check]:
        """Look at the API, where one is expected."""
        environment = self._settings.environment
        if "api" not in self._expected.services and "XIAN_WORKFLOW_API_URL" not in environment:
            return []
        client = ApiClient.from_environment(environment, ANSWER_SECONDS)

        async def ask() -> Check:
            try:
                answer = await asyncio.to_thread(client.call, "GET", "/health")
            except ApiError as error:
                what = redact(f"{client.url}: {error}")
                return Check("api /health", State.FAILED, what, judge.FOREIGN)
            except ApiUnavailable:
                await self._node_seen.wait()
                if self._frozen:  # the API asks the app too, and waits for it
                    return Check("api /health", State.UNKNOWN, "see the node")
                raise
            return judge.api(answer, self._settings.chain_id, self._settings.contract)

        return [await _guarded("api /health", ask())]

    async def disks(self) -> list[Check]:
        """Look at every file system that data lies on, once each."""
        places = dict(self._expected.disks) | dict(self._expected.services)

        def measure() -> list[Check]:
            return [judge.disk(found) for found in file_systems(places)]

        try:
            return await asyncio.wait_for(asyncio.to_thread(measure), ANSWER_SECONDS)
        except (OSError, TimeoutError) as error:
            reason = str(error) or f"no answer in {ANSWER_SECONDS:g} s"
            return [Check("disk", State.FAILED, reason, "see that every file system is there")]

    async def projection(self, beat: _Beat) -> list[Check]:
        """Look at the projection, once index and projector were looked at."""
        indexed = self._indexed
        if indexed is None:
            return [Check("projection", State.UNKNOWN, "see the index")]

        async def ask() -> Check:
            async with open_store(self._settings) as store:
                position = await store.position()
            return judge.projection(position.height, indexed, *beat.heights)

        return [await _guarded("projection", ask())]


class _Beat:
    """The look at one service: its heartbeat is read until it moves or its time is over."""

    def __init__(self, service: str, state_dir: Path) -> None:
        self._service = service
        self._path = heartbeat.path(state_dir, service)
        self._before: dict[str, Any] | None = None
        self._after: dict[str, Any] | None = None

    @property
    def heights(self) -> tuple[int | None, int | None]:
        """The heights that the first and the last heartbeat told."""
        told = (self._before or {}, self._after or {})
        return told[0].get("height"), told[1].get("height")

    async def check(self) -> list[Check]:
        """Look at the service."""
        return [await _guarded(self._service, self._check())]

    async def _check(self) -> Check:
        self._before = self._after = self._read()
        deadline = time.monotonic() + BEAT_SECONDS
        while self._after == self._before and time.monotonic() < deadline:
            if self._after and _process_state(self._after["pid"]) is None:
                break
            await asyncio.sleep(POLL_SECONDS)
            self._after = self._read()
        process = _process_state(self._after["pid"]) if self._after else None
        return judge.heartbeat(self._service, self._before, self._after, process, time.time())

    def _read(self) -> dict[str, Any] | None:
        return heartbeat.read(self._path)


def _process_state(pid: int) -> str | None:
    """Return the letter that the kernel gives a process's state, None where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state = stat.rpartition(")")[2].split()[0]
    return None if state == "Z" else state


async def _guarded(name: str, look: Awaitable[Check]) -> Check:
    try:
        return await look
    except WorkflowError as error:
        return Check(name, State.FAILED, str(error), error.hint)
    except Exception as error:
        # A look that stumbles is a finding like others, and must not hide what the others found.
        return Check(name, State.FAILED, f"the check itself failed: {error!r}")


def as_json(settings: Settings, checks: Sequence[Check]) -> dict[str, Any]:
    """Return the checks as plain data, for other programs."""
    return {
        "ok": judge.all_well(checks),
        "checked_at": rfc3339(datetime.now(UTC)),
        "chain_id": settings.chain_id,
        "contract": settings.contract,
        "checks": [check.as_dict() for check in checks],
    }
