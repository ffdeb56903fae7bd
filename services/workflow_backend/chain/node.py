"""Reads: the chain's state, the index and the items' records."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..errors import IndexUnavailable, NodeRefused, NodeUnavailable, WrongChain
from ..items import START, Event, Item, Place
from ..outage import Outage
from .rpc import Rpc

EVENT_PAGE = 1_000
"""The most events of one name that the index gives at once."""

HISTORY_PAGE = 100
"""So many changes of a record are asked for at once: most items have less than ten."""

KEYS = 200
"""The most keys of the state that a node gives at once."""


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """Where the node is: its chain, its newest block and whether it is still catching up.

    `base` is the oldest block that it still has.
    """

    chain_id: str
    node_id: str
    height: int
    block_time: str
    catching_up: bool
    base: int = 1


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """Where the index is against the node's own newest block, in blocks.

    `ahead` has blocks that the node does not have, `holes` are those below its newest that it
    lacks.
    """

    height: int
    lag: int
    spooled: int
    healthy: bool
    problem: str
    ahead: int = 0
    holes: int = 0


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest events of an index: the contract's, in order, out of `rows` of all contracts.

    There is none between `since` and the first of them that is left out.
    """

    events: list[Event]
    rows: list[Place]
    since: Place


class Node:
    """One node and one contract on it."""

    def __init__(self, rpc: Rpc, contract: str) -> None:
        self.rpc = rpc
        self.contract = contract
        self._index = Outage(f"the index of the node at {rpc.url} answers again")

    async def status(self) -> ChainStatus:
        """Return where the chain is; raises NodeUnavailable."""
        result = await self.rpc.call("status")
        try:
            sync = result["sync_info"]
            return ChainStatus(
                chain_id=result["node_info"]["network"],
                node_id=result["node_info"]["id"],
                height=int(sync["latest_block_height"]),
                block_time=sync["latest_block_time"],
                catching_up=bool(sync["catching_up"]),
                base=int(sync["earliest_block_height"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise self.rpc.is_no_node() from error

    async def require_chain(self, chain_id: str) -> ChainStatus:
        """Return the status of a node of this chain; raises WrongChain naming both."""
        status = await self.status()
        if status.chain_id != chain_id:
            raise WrongChain(
                f"the node at {self.rpc.url} is on chain {status.chain_id!r}, not {chain_id!r}"
            )
        return status

    async def index_status(self) -> IndexStatus:
        """Return where the index is; raises IndexUnavailable where the node has none."""
        raw = await self._indexed("/bds_status")
        indexed = raw.get("indexed") or {}
        height = int(indexed.get("indexed_height") or 0)
        current = int(raw.get("current_block_height") or 0)
        count = int(indexed.get("indexed_block_count") or 0)  # the genesis among them
        problem = raw.get("db_error") or raw.get("last_enqueue_error") or ""
        return IndexStatus(
            height=height,
            lag=max(0, current - height),
            spooled=int(raw.get("spool_pending_count") or 0),
            healthy=raw.get("db_status") == "ok",
            problem=str(problem),
            ahead=max(0, height - current),
            holes=max(0, height + 1 - count) if count else 0,
        )

    async def indexed_height(self) -> int:
        """Return the newest block that the index has, 0 where it has none.

        `index_status` tells it too, but has the index count all its blocks and transactions.
        """
        blocks = await self._indexed("/blocks/limit=1")
        return int(blocks[0]["height"]) if blocks else 0

    async def item(self, item_id: str) -> Item | None:
        """Return the contract's record of one item, or None where there is none."""
        return (await self.items([item_id]))[0]

    async def items(self, item_ids: Sequence[str]) -> list[Item | None]:
        """Return many records, in the order of their ids."""
        records = await self.rpc.queries(
            [f"/get/{self.contract}.items:{item_id}" for item_id in item_ids]
        )
        return [None if record is None else Item.from_record(record) for record in records]

    async def item_ids(self, after: str, limit: int) -> tuple[list[str], bool]:
        """Return ids of the contract's items behind one of them, by the alphabet, and if more are.

        They come from the chain's state, not from the index; `limit` is at most 200.
        """
        path = f"/keys/{self.contract}.items:/limit={limit}"
        page = await self.rpc.query(f"{path}/after={after}" if after else path)
        if not isinstance(page, dict):
            raise NodeUnavailable("the node does not tell the items in its state")
        return list(page["items"]), bool(page["has_more"])

    async def events(self, name: str, after_id: int, limit: int) -> list[Event]:
        """Return the events of one name behind an index id, oldest first, with their index ids."""
        rows = await self._indexed(
            f"/events/{self.contract}/{name}/limit={limit}/after_id={after_id}"
        )
        return _events(rows)

    async def newest_events(self, limit: int) -> Newest:
        """Return the newest events of all contracts, at most so many.

        The index takes a block in as a whole, so this never shows a part of one.
        """
        rows = (await self._indexed(f"/recent_events/limit={limit}"))["items"]
        rows.reverse()
        places = [Place(row["block_height"], row["tx_index"], row["event_index"]) for row in rows]
        ours = _events([row for row in rows if row["contract"] == self.contract])
        return Newest(ours, places, places[0] if len(rows) == limit else START)

    async def submission(self, item_id: str) -> str | None:
        """Return the transaction that submitted an item, None where the index does not have it."""
        path = f"/state_history/{self.contract}.items:{item_id}/limit={HISTORY_PAGE}"
        oldest, offset = None, 0
        while rows := await self._indexed(f"{path}/offset={offset}"):
            oldest, offset = rows[-1], offset + len(rows)
        if oldest is None:
            return None
        # An index that does not go back to the first block may know only what came later.
        first = Item.from_record(json.loads(oldest["value"]))
        is_new = first.status == "submitted" and first.attempt == 0
        return str(oldest["tx_hash"]) if is_new else None

    async def committed_nonce(self, account: str) -> int:
        """Return the last nonce of the account that is in a block; -1 before the first."""
        value = await self.rpc.query(f"/get/__n.{account}:")
        return -1 if value is None else int(value)

    async def next_nonce(self, account: str) -> int:
        """Return the nonce that the node expects next, what waits in its mempool counted in."""
        return int(await self.rpc.query(f"/get_next_nonce/{account}") or 0)

    async def balance(self, account: str) -> float:
        """Return the account's balance of the currency that pays for transactions."""
        return float(await self.rpc.query(f"/get/currency.balances:{account}") or 0)

    async def source(self) -> str | None:
        """Return the source of the contract on the chain, or None where it is not deployed."""
        value = await self.rpc.query(f"/contract_source/{self.contract}")
        return None if value is None else str(value)

    async def is_worker(self, account: str) -> bool:
        """Tell whether the contract lets the account claim items."""
        return await self.rpc.query(f"/get/{self.contract}.workers:{account}") is True

    async def operators(self) -> tuple[str, str | None]:
        """Return the contract's operator, and the account that the role was offered to.

        Raises NodeUnavailable where the contract is not deployed.
        """
        operator, proposed = await self.rpc.queries(
            [f"/get/{self.contract}.metadata:{name}" for name in ("operator", "proposed_operator")]
        )
        if operator is None:
            raise NodeUnavailable(f"{self.contract} is not deployed on this chain")
        return str(operator), None if proposed is None else str(proposed)

    async def agents(self, account: str) -> list[str]:
        """Return the accounts that may cancel and retry what this account submitted."""
        prefix = f"{self.contract}.agents:{account}:"
        names: list[str] = []
        more = True
        while more:
            behind = f"/after={names[-1]}" if names else ""
            page = await self.rpc.query(f"/keys/{prefix}/limit={KEYS}{behind}")
            if not isinstance(page, dict):
                raise NodeUnavailable("the node does not tell the agents in its state")
            names += page["items"]
            more = page["has_more"]
        allowed = await self.rpc.queries([f"/get/{prefix}{name}" for name in names])
        return [name for name, value in zip(names, allowed, strict=True) if value is True]

    async def _indexed(self, path: str) -> Any:
        reason = f"the index has no answer to {path}"
        value = None
        try:
            value = await self.rpc.query(path)
        except NodeRefused as error:
            reason = f"the index refuses {path}: {error}"
        if not isinstance(value, dict | list):
            refusal = IndexUnavailable(reason)
            self._index.failed(refusal)
            raise refusal
        self._index.well()
        return value


def _events(rows: list[dict[str, Any]]) -> list[Event]:
    try:
        # The index tells an event's fields as JSON of their own; of a page they are parsed at once.
        parts = [row[name] or "{}" for row in rows for name in ("data_indexed", "data")]
        fields = json.loads(f"[{','.join(parts)}]")
        return [
            Event(
                place=Place(row["block_height"], row["tx_index"], row["event_index"]),
                name=row["event"],
                data=(indexed or {}) | (others or {}),
                tx_hash=row["tx_hash"],
                created_at=_contract_time(row["created_at"]),
                index_id=row["id"],
            )
            for row, indexed, others in zip(rows, fields[::2], fields[1::2], strict=True)
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise NodeUnavailable(f"the index tells an event of an unknown shape: {error!r}") from error


def _contract_time(text: str) -> str:
    # The index writes times with an offset, the contract as str(now): the project has one form.
    return str(datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None))
