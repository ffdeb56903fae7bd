"""Reads: the chain's state, the index and the items' records."""

import json
import math
from collections.abc import Collection, Sequence
from typing import Any

from pydantic import ValidationError

from ..contract_versions import ContractVersion, version_of
from ..errors import (
    CapabilityMissing,
    ForeignRecord,
    IndexUnavailable,
    NodeRefused,
    NodeUnavailable,
    WrongChain,
)
from ..items import START, Event, EventPosition, Item
from ..outage_log import OutageLog
from .cometbft import CometBft
from .cometbft_answers import ChainStatus
from .index_answers import IndexStatus, RecentEvents, events_from
from .rpc import Rpc
from .state_answers import ACCOUNT, KEYS, KeyPage, Pause, Pauses

EVENT_PAGE = 1_000
"""Events of one name that the index returns at once at most."""

HISTORY_PAGE = 100
"""Changes of a record that are requested at once: most items have less than ten."""

ARCHIVED_ROWS = 4
"""Newest changes of an archived item among which its last record is: the archive is the newest."""

AGENTS = 10_000
"""Agents that one account may ever have had at most: no network has as many APIs."""

LAG_LIMIT = 20
"""Blocks that the index or the projection may be behind while work flows and still be healthy."""


class Node:
    """The state and the index of one node, for one contract."""

    def __init__(self, rpc: Rpc, contract: str) -> None:
        self.rpc = rpc
        self.cometbft = CometBft(rpc)
        self.contract = contract
        self._source: str | None = None
        self._version: ContractVersion | None = None
        self._index = OutageLog(f"the index of the node at {rpc.url} answers again")

    async def status(self) -> ChainStatus:
        """Return where the chain is; raises NodeUnavailable."""
        return await self.cometbft.status()

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
            block_count=count,
        )

    async def indexed_height(self) -> int:
        """Return the height of the newest indexed block, 0 if there is none.

        `index_status` tells it too, but has the index count all its blocks and transactions.
        """
        blocks = await self._indexed("/blocks/limit=1")
        return int(blocks[0]["height"]) if blocks else 0

    async def item(self, item_id: str) -> Item | None:
        """Return the contract's record of one item, or None."""
        return (await self.items([item_id]))[0]

    async def items(self, item_ids: Sequence[str]) -> list[Item | None]:
        """Return many records, in the order of their ids."""
        records = await self.rpc.queries(
            [f"/get/{self.contract}.items:{item_id}" for item_id in item_ids]
        )
        return [None if record is None else Item.from_record(record) for record in records]

    async def item_ids(self, after: str, limit: int) -> tuple[list[str], bool]:
        """Return the next ids of items after one, sorted, and whether there are more.

        They are read from the chain's state, not from the index. `limit` is at most 200.
        """
        page = await self._keys(f"{self.contract}.items:", after, limit)
        return page.items, page.has_more

    async def _keys(self, prefix: str, after: str, limit: int = KEYS) -> KeyPage:
        path = f"/keys/{prefix}/limit={limit}"
        value = await self.rpc.query(f"{path}/after={after}" if after else path)
        try:
            page = KeyPage.model_validate(value)
        except ValidationError as error:
            raise self.rpc.is_no_node() from error
        if page.items and page.items[0] <= after:  # the next page would be this one again
            raise self.rpc.is_no_node()
        return page

    async def events(self, name: str, after_id: int, limit: int) -> list[Event]:
        """Return the events of one name after an index id, oldest first."""
        rows = await self._indexed(
            f"/events/{self.contract}/{name}/limit={limit}/after_id={after_id}"
        )
        return events_from(rows)

    async def recent_events(self, limit: int) -> RecentEvents:
        """Return at most `limit` of the newest events of all contracts.

        The index commits a block as a whole, so this never returns a part of one.
        """
        rows = (await self._indexed(f"/recent_events/limit={limit}"))["items"]
        rows.reverse()
        positions = [
            EventPosition(row["block_height"], row["tx_index"], row["event_index"]) for row in rows
        ]
        ours = events_from([row for row in rows if row["contract"] == self.contract])
        return RecentEvents(ours, positions, positions[0] if len(rows) == limit else START)

    async def submission(self, item_id: str) -> str | None:
        """Return the hash of the transaction that submitted an item, None if the index lacks it."""
        path = f"/state_history/{self.contract}.items:{item_id}/limit={HISTORY_PAGE}"
        oldest, offset = None, 0
        while rows := await self._indexed(f"{path}/offset={offset}"):
            oldest, offset = rows[-1], offset + len(rows)
        if oldest is None:
            return None
        # An index that does not start at the first block may only have later changes.
        first = Item.from_record(json.loads(oldest["value"]))
        is_new = first.status == "submitted" and first.attempt == 0
        return str(oldest["tx_hash"]) if is_new else None

    async def committed_nonce(self, account: str) -> int:
        """Return the last nonce of the account that is in a block; -1 before the first."""
        value = await self.rpc.query(f"/get/__n.{account}:")
        return -1 if value is None else int(self._number(value))

    async def next_nonce(self, account: str) -> int:
        """Return the next nonce that the node expects, after those in its mempool."""
        return int(self._number(await self.rpc.query(f"/get_next_nonce/{account}") or 0))

    async def balance(self, account: str) -> float:
        """Return the account's balance of the currency that pays for transactions."""
        return self._number(await self.rpc.query(f"/get/currency.balances:{account}") or 0)

    async def source(self) -> str | None:
        """Return the source of the contract on the chain, None if it is not deployed."""
        value = await self.rpc.query(f"/contract_source/{self.contract}")
        return None if value is None else str(value)

    async def version(self) -> ContractVersion | None:
        """Return the released version that the contract is, None for any other or none yet."""
        if self._source is None:  # a chain keeps a contract for ever
            self._source = await self.source()
            self._version = None if self._source is None else version_of(self._source)
        return self._version

    async def require(self, capabilities: Collection[str]) -> None:
        """Raise CapabilityMissing if the contract's version lacks one of them."""
        if not capabilities:
            return
        version = await self.version()
        there = version.capabilities if version else frozenset()
        if missing := sorted(set(capabilities) - there):
            raise CapabilityMissing(f"the chain's contract has no {missing[0]}")

    async def pauses(self) -> dict[str, Pause]:
        """Return the pauses of claims by kind, `*` for all kinds; some may have ended."""
        value = await self.rpc.query(f"/get/{self.contract}.metadata:pauses")
        try:
            return Pauses.model_validate(value or {}).root
        except ValidationError as error:
            raise ForeignRecord from error

    async def retention(self) -> int:
        """Return after how many seconds ended items may be archived, 0 for never."""
        value = await self.rpc.query(f"/get/{self.contract}.metadata:retention")
        return int(self._number(value or 0))

    async def newest_records(self, item_id: str) -> list[dict[str, Any]]:
        """Return the last records of an item that the index has, the newest first."""
        path = f"/state_history/{self.contract}.items:{item_id}/limit={ARCHIVED_ROWS}"
        try:
            found = [json.loads(row["value"] or "{}") for row in await self._indexed(path)]
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise NodeUnavailable("the index returned a history of an unknown form") from error
        return [record for record in found if isinstance(record, dict)]

    async def is_worker(self, account: str) -> bool:
        """Return whether the account is a worker of the contract."""
        return await self.rpc.query(f"/get/{self.contract}.workers:{account}") is True

    async def operators(self) -> tuple[str, str | None]:
        """Return the contract's operator, and the account that is proposed as the next one.

        Raises NodeUnavailable if the contract is not deployed.
        """
        operator, proposed = await self.rpc.queries(
            [f"/get/{self.contract}.metadata:{name}" for name in ("operator", "proposed_operator")]
        )
        if operator is None:
            raise NodeUnavailable(f"{self.contract} is not deployed on this chain")
        try:
            return ACCOUNT.validate_python(operator), (
                None if proposed is None else ACCOUNT.validate_python(proposed)
            )
        except ValidationError as error:
            raise ForeignRecord from error

    async def agents(self, account: str) -> list[str]:
        """Return the accounts that may cancel and retry the items that this one submitted."""
        prefix = f"{self.contract}.agents:{account}:"
        page = await self._keys(prefix, "")
        names = page.items
        while page.has_more:
            page = await self._keys(prefix, names[-1])
            names += page.items
            if len(names) > AGENTS:
                raise self.rpc.is_no_node()
        allowed = await self.rpc.queries([f"/get/{prefix}{name}" for name in names])
        return [name for name, value in zip(names, allowed, strict=True) if value is True]

    def _number(self, value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise self.rpc.is_no_node() from error
        if not math.isfinite(number):
            raise self.rpc.is_no_node()
        return number

    async def _indexed(self, path: str) -> Any:
        reason = f"the index has no answer to {path}"
        value = None
        try:
            value = await self.rpc.query(path)
        except NodeRefused as error:
            reason = f"the index refuses {path}: {error}"
        if not isinstance(value, dict | list):
            refusal = IndexUnavailable(reason)
            self._index.record_failure(refusal)
            raise refusal
        self._index.record_success()
        return value
