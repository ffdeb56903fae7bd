"""Lists as SQL: the index that a filter scans, and the bounds of a page.

A page scans one index in the order of the list. Conditions that the index does not cover are
checked on at most `SCAN_LIMIT` rows, so a page costs the same however large the table is.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import BadCursor
from .base import ClientScope, EventFilter, ItemFilter
from .indexes import EVENTS_NEWEST, ITEMS_BY_ID, ITEMS_CHANGED, ITEMS_NEWEST, Order

SCAN_LIMIT = 500
"""Rows of an index that one page reads at most."""

COLUMNS = {
    "items": "*, (SELECT time FROM blocks WHERE height = place >> 32) AS created_time, "
    "(SELECT time FROM blocks WHERE height = last_place >> 32) AS updated_time",
    "events": "*, (SELECT time FROM blocks WHERE height = place >> 32) AS time, "
    "(SELECT hash FROM blocks WHERE height = place >> 32) AS block_hash",
}
"""The columns of each table with those of its block: a packed position begins with the height."""

type Source = Callable[[str, str | None], str]
"""Returns the text after FROM for a table and the index to scan (None: the primary key)."""
type PositionRange = tuple[int | None, int | None]
"""The first packed position of a range and the first after it; None for an open end."""
type Query = tuple[str, list[Any]]
type _Condition = tuple[str, str, Any]
"""A column, a comparison and a value."""

_TOP = "~"  # sorts after every character of an id
MAX_PACKED_POSITION = 2**63 - 1


@dataclass(slots=True)
class _Conditions:
    """Conditions of a query; their values are numbered in order."""

    parts: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def add(self, columns: Sequence[str], comparison: str, values: Sequence[Any]) -> None:
        first = len(self.values) + 1
        marks = [f"${first + number}" for number in range(len(values))]
        self.parts.append(f"({', '.join(columns)}) {comparison} ({', '.join(marks)})")
        self.values += values

    def __str__(self) -> str:
        return " AND ".join(self.parts) or "TRUE"


@dataclass(frozen=True, slots=True)
class IndexScan:
    """The scan of one index.

    `indexed` conditions bound the scan, `filtered` ones are checked row by row.
    """

    index: str | None
    order: Order
    indexed: list[_Condition]
    filtered: list[_Condition]
    begin: tuple[Any, ...] | None

    def end(self, source: Source) -> Query | None:
        """Return the query for the last row that a page may read; None if there is no limit."""
        if not self.filtered:
            return None
        conditions = self._bounds(None)
        table = source(self.order.table, self.index)
        sql = self._select(", ".join(self.order.columns), table, conditions)
        return f"{sql} LIMIT 1 OFFSET {SCAN_LIMIT - 1}", conditions.values

    def page(
        self, source: Source, end: tuple[Any, ...] | None, rows: int, *, planned: bool
    ) -> Query:
        """Return the query for the page's rows, up to and including the row `end` if given.

        If the database chooses the index itself (`planned`), a subquery with a limit separates
        `indexed` from `filtered` conditions: no planner moves a condition across a limit.
        """
        conditions = self._bounds(end)
        table = source(self.order.table, self.index)
        if planned and self.filtered:
            table = (
                f"({self._select('*', table, conditions)} LIMIT {MAX_PACKED_POSITION}) AS scanned"
            )
            conditions.parts.clear()
        for column, comparison, value in self.filtered:
            conditions.add([column], comparison, [value])
        shown = COLUMNS[self.order.table]
        return f"{self._select(shown, table, conditions)} LIMIT {rows}", conditions.values

    def key(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the sort key of a row."""
        return tuple(row[column] for column in self.order.columns)

    def merged(self, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return the rows of scans of the same order as one sorted list."""
        return sorted(rows, key=self.key, reverse=self.order.descending)

    def nearest(self, keys: Sequence[tuple[Any, ...]]) -> tuple[Any, ...] | None:
        """Return the key that comes first in this order; None if there is no key."""
        return (max if self.order.descending else min)(keys, default=None)

    def _select(self, what: str, table: str, conditions: _Conditions) -> str:
        direction = " DESC" if self.order.descending else ""
        order = ", ".join(column + direction for column in self.order.columns)
        # No text of a caller is in the statement: names are this module's, values are bound.
        return f"SELECT {what} FROM {table} WHERE {conditions} ORDER BY {order}"  # noqa: S608

    def _bounds(self, end: tuple[Any, ...] | None) -> _Conditions:
        conditions = _Conditions()
        for column, comparison, value in self._index_conditions(end):
            conditions.add([column], comparison, [value])
        if self.begin is not None:
            conditions.add(self.order.columns, "<" if self.order.descending else ">", self.begin)
        if end is not None:
            conditions.add(self.order.columns, ">=" if self.order.descending else "<=", end)
        return conditions

    def _index_conditions(self, end: tuple[Any, ...] | None) -> Iterator[_Condition]:
        """Yield the `indexed` conditions without those that `begin` and `end` make redundant.

        Of two lower or two upper bounds SQLite seeks to the first one in the statement, even if
        that is the looser one, and then reads every row up to the other.
        """
        for column, comparison, value in self.indexed:
            if column != self.order.columns[0] or not self._is_redundant_bound(
                comparison, value, end
            ):
                yield column, comparison, value

    def _is_redundant_bound(self, comparison: str, value: Any, end: tuple[Any, ...] | None) -> bool:
        if comparison == (">=" if self.order.descending else "<"):
            return end is not None
        if self.begin is None:
            return False
        return bool(self.begin[0] < value if self.order.descending else self.begin[0] >= value)


def split_by_requester[F: (ItemFilter, EventFilter)](which: F) -> list[F]:
    """Split a filter with a client scope into one filter for each requester of the scope.

    An index covers each of them. A client's word may be used by any account, so only items that
    these requesters submitted are the client's.
    """
    if which.scope is None:
        return [which]
    own = set(which.scope.requesters)
    asked = own if which.requester is None else own & {which.requester}
    return [replace(which, requester=each) for each in sorted(asked)]


def items(
    which: ItemFilter, created: PositionRange, changed: PositionRange, begin: Sequence[Any] | None
) -> IndexScan:
    """Return the scan for a list of items; raises BadCursor."""
    equal = {
        name: getattr(which, name) for name in ("status", "kind", "requester", "worker", "priority")
    }
    equal |= _client(which.scope)
    others = [
        *_prefix(which.id_prefix),
        *_range("last_place", *changed),
        *_range("place", *created),
    ]
    return _scan(_items_order(which), equal, others, begin)


def events(which: EventFilter, created: PositionRange, begin: Sequence[Any] | None) -> IndexScan:
    """Return the scan for a list of events; raises BadCursor."""
    columns = ("item_id", "name", "kind", "requester", "worker")
    equal = {name: getattr(which, name) for name in columns} | _client(which.scope)
    others = [
        *_prefix(which.id_prefix),
        *_range("place", *created),
    ]
    return _scan(EVENTS_NEWEST, equal, others, begin)


def behind_item(which: ItemFilter, row: Mapping[str, Any]) -> list[Any]:
    """Return list and key for a page of items that begins after this row."""
    order = _items_order(which)
    return [order.name, *(row[column] for column in order.columns)]


def behind_event(place: int) -> list[Any]:
    """Return list and key for a page of events that begins after this packed position."""
    return [EVENTS_NEWEST.name, place]


def cursor(mark: str, scan: IndexScan, key: Sequence[Any]) -> str:
    """Return the cursor after a row; `mark` identifies the projection's chain and contract."""
    text = json.dumps([mark, scan.order.name, *key], separators=(",", ":"))
    return urlsafe_b64encode(text.encode()).decode()


def begin(mark: str, cursor: str) -> list[Any]:
    """Return the list and key of a cursor; raises BadCursor if it has another mark."""
    try:
        of, *key = json.loads(urlsafe_b64decode(cursor.encode("ascii")))
    except ValueError, TypeError:
        raise BadCursor from None
    if of != mark:
        raise BadCursor
    return [*key]


def _items_order(which: ItemFilter) -> Order:
    if which.id_prefix is not None:
        return ITEMS_BY_ID
    if which.updated_from or which.updated_before:
        return ITEMS_CHANGED
    return ITEMS_NEWEST


def _scan(
    order: Order,
    equal: Mapping[str, str | None],
    others: Sequence[_Condition],
    begin: Sequence[Any] | None,
) -> IndexScan:
    given = {name: value for name, value in equal.items() if value is not None}
    found, index = next(entry for entry in order.indexes.items() if set(entry[0]) <= given.keys())
    answered = {*found, order.columns[0]}
    conditions = [*((name, "=", value) for name, value in given.items()), *others]
    return IndexScan(
        index,
        order,
        indexed=[entry for entry in conditions if entry[0] in answered],
        filtered=[entry for entry in conditions if entry[0] not in answered],
        begin=None if begin is None else _key(order, begin),
    )


def _client(scope: ClientScope | None) -> dict[str, str | None]:
    return {"client": None if scope is None else scope.client}


def _prefix(prefix: str | None) -> list[_Condition]:
    return [] if prefix is None else _range("item_id", prefix, prefix + _TOP)


def _range(column: str, first: Any, end: Any) -> list[_Condition]:
    ends = ((column, ">=", first), (column, "<", end))
    return [end for end in ends if end[2] is not None]


def _key(order: Order, begin: Sequence[Any]) -> tuple[Any, ...]:
    of, *key = begin or [""]
    fits = len(key) == len(order.columns) and all(
        _fits(*part) for part in zip(order.columns, key, strict=False)
    )
    if of != order.name or not fits:
        raise BadCursor
    return tuple(key)


def _fits(column: str, value: Any) -> bool:
    if column != "item_id":
        return type(value) is int and 0 <= value <= MAX_PACKED_POSITION
    return isinstance(value, str) and value.isascii() and value.isprintable()
