"""Keeps the node's index going whatever a block holds.

The index is a copy of the chain in PostgreSQL for readers; consensus never looks at it. Upstream's
writer tries a block that PostgreSQL refuses again for ever, so one transaction with a NUL stops the
index for all that come after it. `mend` puts this right, all in the writer:

- characters that PostgreSQL can't hold (NUL, lone surrogates) become U+FFFD, in keys as in values;
- a block read back from the spool holds rewards as `{"__fixed__": "1.2"}`, and that is a number;
- a transaction with a value that still can't be stored (a number or a name too long, say) loses
  that value, with an error in the log, and nothing else;
- a database that was made anew while the app runs has no tables: the app ends, its manager starts
  it again, and there it prepares the database and fills it from the node's blocks;
- only the blocks that come next may wait in memory: where it is full of later ones, there is no
  room for the one that all of them wait for, and a busy chain's index never begins again.

Two more let the index keep up with a busy chain: a transaction's rows are written in one batch (see
`batched_writes`), and a block that waits in memory is not read again from the spool.
"""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
from loguru import logger
from xian.services.bds import bds
from xian.services.bds.payloads import BdsBlockPayload
from xian.services.bds.serializer import canonical_decimal, canonical_json_text

from workflow_backend_node import logs
from workflow_backend_node.batched_writes import BatchedWrites
from workflow_backend_node.requests import Refused

# What is wrong with the value and will be wrong again: PostgreSQL's classes 22 and 54, and Python's
# complaints about the shape of data. Whatever else fails (connection, disk, shutdown) is tried
# again by upstream.
UNSTORABLE = (
    asyncpg.DataError,
    asyncpg.ProgramLimitExceededError,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    AttributeError,
    RecursionError,
)
FEW = 3
"""Transactions with so few state changes are written one by one: a batch has a price of its own."""

_UNSTORABLE_CHARACTER = re.compile("[\x00\ud800-\udfff]")
_UNSTORABLE_ESCAPE = re.compile(r"\\u(0000|d[89a-f])")


def mend() -> None:
    """Replace upstream's writer by the mended one, in this process."""
    bds.canonical_decimal = number
    bds.BDS.persist_block = _persist_block(bds.BDS.persist_block)
    bds.BDS._persist_transaction = _persist_transaction(bds.BDS._persist_transaction)  # noqa: SLF001
    bds.BDS._replay_spool = _replay_spool  # noqa: SLF001
    bds.BDS._enqueue_pending_payload = _enqueue(bds.BDS._enqueue_pending_payload)  # noqa: SLF001


def number(value: Any) -> Decimal:
    """A reward's amount, live or as the spool holds it."""
    if isinstance(value, dict):
        value = value["__fixed__"] if "__fixed__" in value else value["__big_int__"]
    result: Decimal = canonical_decimal(value)
    return result


def storable(payload: BdsBlockPayload) -> BdsBlockPayload:
    """The block as PostgreSQL can hold it; itself, when nothing has to be replaced."""
    parts = [payload.block_meta, payload.state_patches]
    parts += [(tx.payload, tx.envelope, tx.tx_result) for tx in payload.transactions]
    # The runtime's own types become text in some way or other: their characters are plain.
    if not _UNSTORABLE_ESCAPE.search(json.dumps(parts, default=str)):
        return payload
    return BdsBlockPayload.from_spool_dict(_replace(payload.to_spool_dict()))


def _replace(value: Any) -> Any:
    match value:
        case str():
            return _UNSTORABLE_CHARACTER.sub("\ufffd", value)
        case dict():
            return {_replace(key): _replace(item) for key, item in value.items()}
        case list():
            return [_replace(item) for item in value]
        case _:
            return value


def _persist_block(
    upstream: Callable[..., Awaitable[bool]],
) -> Callable[[Any, BdsBlockPayload], Awaitable[bool]]:
    async def persist_block(self: Any, payload: BdsBlockPayload) -> bool:
        stored = await upstream(self, storable(payload))
        if not stored and await self.db.fetchval("SELECT to_regclass('blocks')") is None:
            logger.error("Index: its database was made anew: the app starts again to fill it")
            signal.raise_signal(signal.SIGTERM)
        return stored

    return persist_block


def _persist_transaction(
    upstream: Callable[..., Awaitable[None]],
) -> Callable[..., Awaitable[None]]:
    async def persist_transaction(self: Any, connection: Any, **block: Any) -> None:
        before = dict(block["current_index"])
        try:
            async with connection.transaction():  # a savepoint: the block's own transaction goes on
                changes = len(block["tx"].tx_result["state"])
                if changes <= FEW:
                    await upstream(self, connection, **block)
                else:
                    batch = await BatchedWrites.begin(connection, changes)
                    await upstream(self, batch, **block)
                    await batch.flush()
        except UNSTORABLE as error:
            tx_hash = block["tx"].tx_result["hash"]
            logger.error("Index: transaction {} can't be stored whole: {}", tx_hash, error)
            block["current_index"].clear()
            block["current_index"].update(before)
            try:
                await upstream(self, _Piecemeal(connection, tx_hash), **block)
            except UNSTORABLE as error:
                logger.error("Index: the rest of transaction {} is left out: {}", tx_hash, error)

    return persist_transaction


def _enqueue(upstream: Callable[[Any, BdsBlockPayload], bool]) -> Callable[..., bool]:
    def enqueue(self: Any, payload: BdsBlockPayload) -> bool:
        return int(payload.block_meta["height"]) < _too_far(self) and upstream(self, payload)

    return enqueue


def _too_far(self: Any) -> int:
    """The first height that has to wait outside of memory; the spool or the node's store has it."""
    height: int = self._next_expected_height() + max(self.config.queue_max_size, 1)
    return height


async def _replay_spool(self: Any) -> None:
    """Take in spooled blocks, the oldest first, as far as there is room for them in memory."""
    waiting = self._pending_payloads
    for path in self._pending_spool_files():
        height = self._spool_file_height(path)
        if height in waiting:
            continue
        if height is not None and height >= _too_far(self):
            return
        payload = self._read_spool_file(path)
        if self._is_stale_payload(payload):
            path.unlink(missing_ok=True)
        else:
            self._enqueue_pending_payload(payload)


class _Piecemeal:
    """A connection that leaves out statements that can't be stored, and what builds on them."""

    def __init__(self, connection: Any, tx_hash: str) -> None:
        self._connection = connection
        self._tx_hash = tx_hash

    async def execute(self, query: str, *values: Any) -> Any:
        return await self._or_nothing(self._connection.execute, query, values)

    async def fetchval(self, query: str, *values: Any) -> Any:
        return await self._or_nothing(self._connection.fetchval, query, values)

    async def _or_nothing(
        self, run: Callable[..., Awaitable[Any]], query: str, values: tuple[Any, ...]
    ) -> Any:
        try:
            async with self._connection.transaction():
                return await run(query, *values)
        except (*UNSTORABLE, asyncpg.IntegrityConstraintViolationError) as error:
            statement = " ".join(query.split()[:3])
            logger.error("Index: transaction {} lacks {}: {}", self._tx_hash, statement, error)


async def wait_for_database(dsn: str, seconds: float) -> None:
    """Wait until the database accepts connections; raises `Refused` with the last reason."""
    _refuse_missing_files(dsn)
    deadline = time.monotonic() + seconds
    last_reason = ""
    while True:
        try:
            connection = await asyncpg.connect(dsn, timeout=5)
        except OSError as error:  # a certificate that is refused is a ValueError, too
            reason = str(error) or type(error).__name__
        except ValueError:
            # The text of such an error may quote the DSN, and that may hold a password.
            raise Refused("the credential index_dsn is not a PostgreSQL DSN") from None
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            reason = str(error)
        else:
            await connection.close()
            return
        if reason != last_reason:
            logs.say("warning", f"waiting for the index's database: {reason}")
            last_reason = reason
        if time.monotonic() > deadline:
            raise Refused(f"the index's database has not answered within {seconds:.0f} s: {reason}")
        await asyncio.sleep(0.1)


def _refuse_missing_files(dsn: str) -> None:
    """Raise `Refused` for a certificate that can't be read: the driver does not name it."""
    with suppress(ValueError):  # the driver refuses what is not a DSN
        for name, paths in parse_qs(urlsplit(dsn).query).items():
            if name in ("sslrootcert", "sslcert", "sslkey") and not os.access(paths[-1], os.R_OK):
                raise Refused(f"index_dsn: {name} is {paths[-1]}, and that can't be read")


async def refuse_foreign(dsn: str, genesis: dict[str, Any]) -> None:
    """Raise `Refused` when the database holds the index of another network.

    Upstream would go on from that index's height and mix two chains.
    """
    connection = await asyncpg.connect(dsn)
    try:
        if await connection.fetchval("SELECT to_regclass('public.transactions')") is None:
            return
        same = await connection.fetchval(
            "SELECT envelope -> 'genesis' = $1::jsonb FROM transactions WHERE hash = $2",
            canonical_json_text(genesis["abci_genesis"]["genesis"]),
            bds.GENESIS_TX_HASH,
        )
    finally:
        await connection.close()
    if same is False:
        raise Refused(
            "the index's database holds the index of another network: "
            "give this node a database of its own, or drop the old one"
        )


def set_unreadable_aside(spool: Path) -> None:
    """Rename the spooled blocks that can't be read, as a lost disk cache leaves them.

    Upstream would not start over one; without it, the index fetches that block from the node's own
    store.
    """
    for path in sorted(spool.glob("*.json")):
        try:
            BdsBlockPayload.from_spool_dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            path.rename(path.with_suffix(".unreadable"))
            logs.say(
                "warning", f"the spooled block {path.name} can't be read and is set aside: {error}"
            )
