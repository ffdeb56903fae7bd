"""Writes what a transaction did to the index in a few statements, not one for each row.

Upstream's writer awaits the database for each state change, each value and each event: some four
hundred times for a batch of 128 items, in the thread that also executes blocks, so the index falls
behind a chain that is busy. Here its statements are taken down, and each kind is run at once.
"""

from collections.abc import Iterator
from typing import Any, Self

from xian.services.bds import sql

_INSERT_CHANGE = """
INSERT INTO state_changes (
    change_id, block_height, block_hash, block_time, tx_hash, tx_index, write_index, key,
    new_value, previous_change_id, previous_tx_hash, origin_type, created_at
) OVERRIDING SYSTEM VALUE
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""
"""The same as upstream's, but that the number is given and not asked for."""

_NUMBERS = """
SELECT nextval(pg_get_serial_sequence('state_changes', 'change_id'))
FROM generate_series(1, $1::int)
"""


class BatchedWrites:
    """A connection for one transaction of the chain: what is asked of it is done by `flush`.

    `numbers` are those of its state changes, in their order.
    """

    def __init__(self, connection: Any, numbers: Iterator[int]) -> None:
        self._connection = connection
        self._numbers = numbers
        self._rows: dict[str, list[tuple[Any, ...]]] = {}

    @classmethod
    async def begin(cls, connection: Any, changes: int) -> Self:
        """Reserve numbers for so many state changes."""
        rows = await connection.fetch(_NUMBERS, changes) if changes else []
        return cls(connection, iter([row[0] for row in rows]))

    async def execute(self, query: str, *values: Any) -> None:
        """Take a statement down."""
        self._rows.setdefault(query, []).append(values)

    async def fetchval(self, query: str, *values: Any) -> int:
        """Take a state change down and return its number; upstream asks for nothing else."""
        if query != sql.insert_state_change():
            raise ValueError(f"this is not a state change: {query}")
        number = next(self._numbers)
        self._rows.setdefault(_INSERT_CHANGE, []).append((number, *values))
        return number

    async def flush(self) -> None:
        """Run all that was taken down, in the order in which each kind came first."""
        for query, rows in self._rows.items():
            await self._connection.executemany(query, rows)
