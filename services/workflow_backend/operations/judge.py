"""What a finding means: plain data in, a judgement with a hint for a person out."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from ..chain.node import ChainStatus, IndexStatus
from ..printable import printable
from .disks import FileSystem
from .expected import same_source

LAG_LIMIT = 20
"""Blocks that the index or the projection may be behind while work flows."""

LOW_BALANCE = 0.25
"""The share of the funding target under which a wallet is low."""

DISK_FAILED = 1 << 30
DISK_WARNING = 5 << 30
FILES_FAILED = 1000

_LOG = "its log tells more; the playbook start.yml starts it"
_RESTART = "its log tells more; the playbook restart.yml restarts it"
_BOOTSTRAP = "bring it about: workflow-backend bootstrap"

FOREIGN = "another program uses this port: end it (ss -ltnp names it) or set another port"


class State(StrEnum):
    """UNKNOWN could not be checked because something named elsewhere failed."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One judgement: what was looked at, how it is, in which words, and what to do about it."""

    name: str
    state: State
    what: str
    hint: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return it as plain data."""
        return asdict(self)


class _Told(NamedTuple):
    """One of several things that a program says of itself: worst first."""

    state: State
    what: str
    hint: str


def all_well(checks: Iterable[Check]) -> bool:
    """Tell whether nothing has failed; a warning is for later."""
    return not any(check.state in {State.FAILED, State.UNKNOWN} for check in checks)


def table(checks: Sequence[Check]) -> str:
    """Return the checks as aligned lines, a hint below each that needs one; texts are escaped."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{check.name:<{width}}  {check.state.upper():<7}  {printable(check.what)}")
        if check.hint:
            lines.append(f"{'':<{width}}           -> {printable(check.hint)}")
    return "\n".join(lines)


def chain(status: ChainStatus, chain_id: str) -> Check:
    """Judge whether the node is on the right chain and level with it."""
    if status.chain_id != chain_id:
        return Check(
            "node",
            State.FAILED,
            f"it is on chain {status.chain_id!r}, not {chain_id!r}",
            "check XIAN_CHAIN_ID and XIAN_NODE_URL",
        )
    if status.catching_up:
        return Check(
            "node",
            State.FAILED,
            f"it is catching up with its network, now at height {status.height}",
            "wait; where the height does not move, see its peers and CometBFT's log",
        )
    return Check("node", State.OK, f"{chain_id} at height {status.height}")


def frozen_app(seconds: float) -> Check:
    """Judge an app that does not answer while CometBFT does."""
    return Check(
        "node",
        State.FAILED,
        f"its app does not answer in {seconds:g} s, CometBFT does",
        "see the app's log, and whether its process is stopped by a signal; the playbook "
        "restart.yml restarts it",
    )


def blocks(
    before: ChainStatus, after: ChainStatus, waiting: int, limit: float | None, now: datetime
) -> Check:
    """Judge whether blocks come: `waiting` transactions are in the mempool before and after."""
    age = (now - datetime.fromisoformat(after.block_time).astimezone(UTC)).total_seconds()
    what = f"the newest is {_span(age)} old"
    hint = "see CometBFT's and the app's log; a network needs more than 2/3 of its voting power"
    if waiting and after.height == before.height:
        return Check("blocks", State.FAILED, f"{waiting} transactions wait, {what}", hint)
    if limit is not None and age > limit:
        return Check("blocks", State.FAILED, f"{what}, {_span(limit)} at most is expected", hint)
    return Check("blocks", State.OK, what)


def index(before: IndexStatus, after: IndexStatus, seconds: float, base: int = 1) -> Check:
    """Judge the index by two looks; one that is level or moves is looked at once more at once.

    `base` is the oldest block that the node still has: what is older can't be indexed any more.
    """
    if not after.healthy:
        return Check(
            "index",
            State.FAILED,
            f"its database does not answer: {after.problem or 'no reason given'}",
            "see that PostgreSQL runs, and its log",
        )
    if lost := _lost(after, base):
        return Check(
            "index",
            State.FAILED,
            lost,
            "restore an index that has them: from a snapshot, or from another node's",
        )
    if after.ahead and after.height == before.height:
        return Check(
            "index",
            State.FAILED,
            f"it has {after.ahead} blocks that the node does not have, up to {after.height}",
            "where the node comes to them by itself, wait; where its home is an older one and "
            "nobody has those blocks, index and projection are made anew: docs/recovery.md",
        )
    what = f"height {after.height}, {after.lag} blocks behind, {after.spooled} in the spool"
    if after.lag and after.height == before.height:
        reason = f" ({after.problem})" if after.problem else ""
        return Check(
            "index",
            State.FAILED,
            f"wedged: {what}, and it has not moved for {seconds:g} s{reason}",
            "the app's log names the block and why: grep BDS; restarting the app reads it again",
        )
    if after.lag > LAG_LIMIT:
        return Check("index", State.WARNING, f"slow but moving: {what}", "wait until it is level")
    return Check("index", State.OK, what)


def _lost(told: IndexStatus, base: int) -> str:
    """Say which blocks the index lacks and can't have from its node any more."""
    if told.height + 1 < base:
        return f"it lacks the blocks {told.height + 1} to {base - 1}, and the node has them no more"
    return f"{told.holes} of the blocks up to {told.height} are not in it" if told.holes else ""


def contract(name: str, found: str | None, wanted: str | None) -> Check:
    """Judge whether the contract is there and is the one that is expected."""
    if found is None:
        return Check("contract", State.FAILED, f"{name} is not on this chain", _BOOTSTRAP)
    if wanted is not None and not same_source(found, wanted):
        return Check(
            "contract",
            State.FAILED,
            f"{name} on this chain has another source than is expected",
            "set XIAN_WORKFLOW_CONTRACT to the name that this source was deployed under",
        )
    return Check("contract", State.OK, f"{name} is deployed" + (" as expected" if wanted else ""))


def worker(account: str, registered: bool) -> Check:
    """Judge whether an account may claim items."""
    if registered:
        return Check("worker", State.OK, f"{_short(account)} may claim items")
    return Check("worker", State.FAILED, f"{account} is no worker of the contract", _BOOTSTRAP)


def former_worker(account: str, registered: bool) -> Check:
    """Judge whether an account that may claim no more still could."""
    if registered:
        return Check("former worker", State.FAILED, f"{account} may still claim", _BOOTSTRAP)
    return Check("former worker", State.OK, f"{_short(account)} may claim no more")


def wallet(account: str, balance: float, target: float) -> Check:
    """Judge whether an account can pay for its transactions."""
    what = f"{_short(account)} has {balance:,.0f} of {target:,.0f}"
    if balance <= 0:
        return Check("wallet", State.FAILED, what, _BOOTSTRAP)
    if balance < target * LOW_BALANCE:
        return Check("wallet", State.WARNING, f"low: {what}", _BOOTSTRAP)
    return Check("wallet", State.OK, what)


def heartbeat(
    service: str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    process: str | None,
    now: float,
) -> Check:
    """Judge a service by two readings of its heartbeat and the state of its process in /proc."""
    if after is None:
        return Check(service, State.FAILED, "it does not run: it has no heartbeat", _LOG)
    pid, age = after["pid"], _span(now - after["at"])
    if process is None:
        return Check(service, State.FAILED, f"it does not run: process {pid} is gone", _LOG)
    if before is not None and after["at"] == before["at"]:
        if process in "Tt":
            return Check(
                service,
                State.FAILED,
                f"process {pid} is stopped by a signal, its last heartbeat is {age} old",
                f"let it go on: kill -CONT {pid}",
            )
        return Check(
            service,
            State.FAILED,
            f"process {pid} hangs, its last heartbeat is {age} old",
            _RESTART,
        )
    return _said(service, after)


def _said(service: str, beat: dict[str, Any]) -> Check:
    """Judge a service that lives by what it says of itself, all of it."""
    told: list[_Told] = []
    if beat.get("problem"):
        told.append(_Told(State.FAILED, beat["problem"], "its log tells more"))
    if beat.get("warning"):
        told.append(_Told(State.WARNING, beat["warning"], _BOOTSTRAP))
    if unhandled := beat.get("unhandled"):
        kinds = ", ".join(f"{kind} ({count})" for kind, count in sorted(unhandled.items()))
        told.append(
            _Told(
                State.WARNING,
                f"items wait whose kind has no handler here: {kinds}",
                "give the kind a table in the handlers' file, or run a processor that has one",
            )
        )
    well = f"process {beat['pid']} is alive"
    if isinstance(compared := beat.get("compared"), dict) and compared:
        well += (
            f", {compared.get('compared')} items compared with the chain in round "
            f"{compared.get('rounds', 0) + 1}, {compared.get('mended')} mended"
        )
    return _one(service, told, well)


def _one(name: str, told: Sequence[_Told], well: str) -> Check:
    """Return one judgement of all that is wrong, its state that of the first, or that all is well.

    None hides another: what waits for the next look may be empty by then.
    """
    if not told:
        return Check(name, State.OK, well)
    words = ("; ".join(dict.fromkeys(part)) for part in zip(*(t[1:] for t in told), strict=True))
    return Check(name, told[0].state, *words)


def projection(
    position: int, indexed: int, beat_before: int | None, beat_after: int | None
) -> Check:
    """Judge how level the projection is: its height, the index's, and two of the heartbeat's."""
    lag = max(0, indexed - position)
    what = f"height {position}, {lag} blocks behind the index"
    if lag <= LAG_LIMIT:
        return Check("projection", State.OK, what)
    if beat_before != beat_after:
        return Check("projection", State.WARNING, f"catching up: {what}", "wait until it is level")
    return Check("projection", State.FAILED, f"it stands still: {what}", _RESTART)


def api(answer: dict[str, Any], chain_id: str, contract_name: str) -> Check:
    """Judge what the API says of itself."""
    serves = (answer.get("chain_id"), answer.get("contract"))
    if serves != (chain_id, contract_name):
        return Check(
            "api /health",
            State.FAILED,
            f"it serves {serves[1]} on {serves[0]}, not {contract_name} on {chain_id}",
            FOREIGN,
        )
    told = []
    if answer["status"] != "ok":
        told.append(_Told(State.FAILED, "; ".join(answer["problems"]), "see that part"))
    if answer.get("warnings"):
        told.append(_Told(State.WARNING, "; ".join(answer["warnings"]), _BOOTSTRAP))
    return _one("api /health", told, f"it serves {contract_name}")


def restore(name: str, begun_at: str, phase: str) -> Check:
    """Judge a restore of a snapshot that is under way."""
    waits = phase in {"swapping", "undoing"}
    stands = "the node's app does not start" if waits else "the old state waits beside the home"
    return Check(
        "restore",
        State.FAILED,
        f"the restore of {name}, begun at {begun_at}, is {phase} and not at its end: {stands}",
        "finish it (restore-state-snapshot.yml), or undo it (-e snapshots_undo=true)",
    )


def disk(found: FileSystem) -> Check:
    """Judge the room of a file system: bytes, and files where those have a limit."""
    what = f"{found.free / (1 << 30):.1f} GiB free on {found.mount} ({', '.join(found.names)})"
    hint = (
        "free some: a full disk stops the node, and a node that was stopped so may need a restore"
    )
    if found.files is not None and found.files < FILES_FAILED:
        return Check("disk", State.FAILED, f"room for {found.files} files more, {what}", hint)
    if found.free < DISK_FAILED:
        return Check("disk", State.FAILED, what, hint)
    if found.free < DISK_WARNING:
        return Check("disk", State.WARNING, what, hint)
    return Check("disk", State.OK, what)


def _short(account: str) -> str:
    return f"{account[:8]}…"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
