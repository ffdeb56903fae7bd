"""Lists as SQL: which index a filter walks, where a page begins and where it ends.

A page walks one index in the list's order. What that index does not answer is looked for in at
most `LOOK_THROUGH` rows, so that a page costs the same however many rows there are.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import BadCursor
from .base import EventFilter, ItemFilter, Whose

LOOK_THROUGH = 500

SHOWN = {
    "items": "*, (SELECT time FROM blocks WHERE height = place >> 32) AS created_time, "
    "(SELECT time FROM blocks WHERE height = last_place >> 32) AS updated_time",
    "events": "*, (SELECT time FROM blocks WHERE height = place >> 32) AS time, "
    "(SELECT hash FROM blocks WHERE height = place >> 32) AS block_hash",
}
"""The columns of a table's rows with what their blocks tell: a place begins with the height."""

type Source = Callable[[str, str | None], str]
"""Gives the text after FROM for a table of which one index is to be walked (None: the key)."""
type Places = tuple[int | None, int | None]
"""The first place of a time range and the first behind it, where it has these ends."""
type Query = tuple[str, list[Any]]
type _Condition = tuple[str, str, Any]
"""A column, a comparison and a value."""

_TOP = "~"  # sorts behind every character of an id
LARGEST_PLACE = 2**63 - 1


@dataclass(frozen=True, slots=True)
class _Order:
    """An order of a list and its indexes, by the columns that each finds before it, best first."""

    columns: tuple[str, ...]
    indexes: Mapping[tuple[str, ...], str | None]
    descending: bool = True


_ITEMS_NEWEST = _Order(
    ("place",),
    {
        ("client", "requester", "status"): "items_owner_status",
        ("client", "requester"): "items_owner",
        ("requester", "status"): "items_requester_status",
        ("worker", "status"): "items_worker_status",
        ("kind", "status"): "items_kind_status",
        ("requester",): "items_requester",
        ("worker",): "items_worker",
        ("kind",): "items_kind",
        ("status",): "items_status",
        (): None,
    },
)
_ITEMS_CHANGED = _Order(
    ("last_place",),
    {
        ("client", "requester"): "items_owner_changed",
        ("status",): "items_status_changed",
        (): "items_changed",
    },
)
_ITEMS_BY_ID = _Order(
    ("item_id",),
    {("client", "requester"): "items_owner_id", (): "items_id"},
    descending=False,
)
_EVENTS_NEWEST = _Order(
    ("place",),
    {
        ("item_id",): "events_item",
        ("client", "requester"): "events_owner",
        ("requester",): "events_requester",
        ("worker",): "events_worker",
        ("kind",): "events_kind",
        ("name",): "events_name",
        (): None,
    },
)


@dataclass(slots=True)
class _Conditions:
    """Conditions of a query, their values numbered in the order in which they come."""

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
class Walk:
    """One list. `walked` is what its index answers, `looked` what is looked for in the rows."""

    table: str
    index: str | None
    order: _Order
    walked: list[_Condition]
    looked: list[_Condition]
    begin: tuple[Any, ...] | None

    def end(self, source: Source) -> Query | None:
        """Return the query for the last row that a page may look at; None where it may see all."""
        if not self.looked:
            return None
        conditions = self._bounds(None)
        table = source(self.table, self.index)
        sql = self._select(", ".join(self.order.columns), table, conditions)
        return f"{sql} LIMIT 1 OFFSET {LOOK_THROUGH - 1}", conditions.values

    def page(
        self, source: Source, end: tuple[Any, ...] | None, rows: int, *, planned: bool
    ) -> Query:
        """Return the query for the page's rows, up to the row `end` where there is one.

        Where the database plans by itself which index to walk (`planned`), the statement keeps
        what is walked and what is looked for apart: a limit is what no planner reaches over.
        """
        conditions = self._bounds(end)
        table = source(self.table, self.index)
        if planned and self.looked:
            table = f"({self._select('*', table, conditions)} LIMIT {LARGEST_PLACE}) AS walked"
            conditions.parts.clear()
        for column, comparison, value in self.looked:
            conditions.add([column], comparison, [value])
        shown = SHOWN[self.table]
        return f"{self._select(shown, table, conditions)} LIMIT {rows}", conditions.values

    def key(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return where a row stands in the list."""
        return tuple(row[column] for column in self.order.columns)

    def merged(self, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return rows of walks like this one in its order."""
        return sorted(rows, key=self.key, reverse=self.order.descending)

    def nearest(self, keys: Sequence[tuple[Any, ...]]) -> tuple[Any, ...] | None:
        """Return the key that comes first in this order; None where there is none."""
        return (max if self.order.descending else min)(keys, default=None)

    def _select(self, what: str, table: str, conditions: _Conditions) -> str:
        direction = " DESC" if self.order.descending else ""
        order = ", ".join(column + direction for column in self.order.columns)
        # No text of a caller is in the statement: names are this module's, values are bound.
        return f"SELECT {what} FROM {table} WHERE {conditions} ORDER BY {order}"  # noqa: S608

    def _bounds(self, end: tuple[Any, ...] | None) -> _Conditions:
        conditions = _Conditions()
        for column, comparison, value in self._within(end):
            conditions.add([column], comparison, [value])
        if self.begin is not None:
            conditions.add(self.order.columns, "<" if self.order.descending else ">", self.begin)
        if end is not None:
            conditions.add(self.order.columns, ">=" if self.order.descending else "<=", end)
        return conditions

    def _within(self, end: tuple[Any, ...] | None) -> Iterator[_Condition]:
        """Yield what is walked without the bounds that `begin` and `end` make superfluous.

        Of two bounds on one side SQLite takes the first that it meets to the index, and reads on
        from there to the other.
        """
        for column, comparison, value in self.walked:
            if column != self.order.columns[0] or not self._superfluous(comparison, value, end):
                yield column, comparison, value

    def _superfluous(self, comparison: str, value: Any, end: tuple[Any, ...] | None) -> bool:
        if comparison == (">=" if self.order.descending else "<"):
            return end is not None
        if self.begin is None:
            return False
        return bool(self.begin[0] < value if self.order.descending else self.begin[0] >= value)


def by_requester[F: (ItemFilter, EventFilter)](which: F) -> list[F]:
    """Return filters that together have what this one has, each of one requester.

    So an index answers them: of all that anybody submitted for a client, only what these accounts
    submitted is the client's.
    """
    if which.whose is None:
        return [which]
    own = set(which.whose.requesters)
    asked = own if which.requester is None else own & {which.requester}
    return [replace(which, requester=each) for each in sorted(asked)]


def items(which: ItemFilter, created: Places, changed: Places, begin: Sequence[Any] | None) -> Walk:
    """Return the walk of a list of items; raises BadCursor."""
    if which.id_prefix is not None:
        order = _ITEMS_BY_ID
    elif which.updated_from or which.updated_before:
        order = _ITEMS_CHANGED
    else:
        order = _ITEMS_NEWEST
    equal = {name: getattr(which, name) for name in ("status", "kind", "requester", "worker")}
    equal |= _client(which.whose)
    others = [
        *_prefix(which.id_prefix),
        *_range("last_place", *changed),
        *_range("place", *created),
    ]
    return _walk("items", order, equal, others, begin)


def events(which: EventFilter, created: Places, begin: Sequence[Any] | None) -> Walk:
    """Return the walk of a list of events; raises BadCursor."""
    columns = ("item_id", "name", "kind", "requester", "worker")
    equal = {name: getattr(which, name) for name in columns} | _client(which.whose)
    others = [
        *_prefix(which.id_prefix),
        *_range("place", *created),
    ]
    return _walk("events", _EVENTS_NEWEST, equal, others, begin)


def cursor(mark: str, walk: Walk, key: Sequence[Any]) -> str:
    """Return the cursor behind a row; `mark` stands for the projection's chain and contract."""
    text = json.dumps([mark, _name(walk.table, walk.order), *key], separators=(",", ":"))
    return urlsafe_b64encode(text.encode()).decode()


def begin(mark: str, cursor: str) -> list[Any]:
    """Return list and key of what `cursor` made; raises BadCursor where the mark is another."""
    try:
        of, *key = json.loads(urlsafe_b64decode(cursor.encode("ascii")))
    except ValueError, TypeError:
        raise BadCursor from None
    if of != mark:
        raise BadCursor
    return [*key]


def _walk(
    table: str,
    order: _Order,
    equal: Mapping[str, str | None],
    others: Sequence[_Condition],
    begin: Sequence[Any] | None,
) -> Walk:
    given = {name: value for name, value in equal.items() if value is not None}
    found, index = next(entry for entry in order.indexes.items() if set(entry[0]) <= given.keys())
    answered = {*found, order.columns[0]}
    conditions = [*((name, "=", value) for name, value in given.items()), *others]
    return Walk(
        table,
        index,
        order,
        walked=[entry for entry in conditions if entry[0] in answered],
        looked=[entry for entry in conditions if entry[0] not in answered],
        begin=None if begin is None else _key(table, order, begin),
    )


def _client(whose: Whose | None) -> dict[str, str | None]:
    return {"client": None if whose is None else whose.client}


def _prefix(prefix: str | None) -> list[_Condition]:
    return [] if prefix is None else _range("item_id", prefix, prefix + _TOP)


def _range(column: str, first: Any, behind: Any) -> list[_Condition]:
    ends = ((column, ">=", first), (column, "<", behind))
    return [end for end in ends if end[2] is not None]


def _key(table: str, order: _Order, begin: Sequence[Any]) -> tuple[Any, ...]:
    of, *key = begin or [""]
    fits = len(key) == len(order.columns) and all(
        _fits(*part) for part in zip(order.columns, key, strict=False)
    )
    if of != _name(table, order) or not fits:
        raise BadCursor
    return tuple(key)


def _name(table: str, order: _Order) -> str:
    return f"{table}.{order.columns[0]}"


def _fits(column: str, value: Any) -> bool:
    if column != "item_id":
        return type(value) is int and 0 <= value <= LARGEST_PLACE
    return isinstance(value, str) and value.isascii() and value.isprintable()
