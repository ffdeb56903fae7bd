"""Reads a page of a list: runs the scans of one order and merges their rows."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from .lists import IndexScan, Source
from .rows import Rows

type Key = tuple[Any, ...]


class PageReader:
    """Reads pages of a database.

    `fetch` runs a query, `source` returns its text after FROM. `planned` tells whether the database
    chooses the index itself.
    """

    def __init__(
        self, fetch: Callable[..., Awaitable[Rows]], source: Source, *, planned: bool
    ) -> None:
        self._fetch = fetch
        self._source = source
        self._planned = planned

    async def merge(self, scans: Sequence[IndexScan], limit: int) -> tuple[Rows, Key | None]:
        """Return a page that merges scans of one order, and the key after which it continues."""
        if not scans:
            return [], None
        pages = [await self._read(scan, limit) for scan in scans]
        scan = scans[0]
        rows = scan.merged([row for found, _ in pages for row in found])
        end = scan.nearest([end for _, end in pages if end is not None])
        if end is not None:  # after it, one of the scans may have more
            rows = [row for row in rows if scan.nearest([scan.key(row), end]) == scan.key(row)]
        if len(rows) > limit:
            end = scan.key(rows[limit - 1])
        return rows[:limit], end

    async def _read(
        self, scan: IndexScan, limit: int
    ) -> tuple[list[Mapping[str, Any]], Key | None]:
        """Return a page of one scan, and the key after which it continues."""
        last = scan.end(self._source)
        end = None
        if last is not None:
            found = await self._fetch(last[0], *last[1])
            end = scan.key(found[0]) if found else None
        sql, values = scan.page(self._source, end, limit + 1, planned=self._planned)
        rows = list(await self._fetch(sql, *values))
        if len(rows) > limit:
            end = scan.key(rows[limit - 1])
        return rows[:limit], end
