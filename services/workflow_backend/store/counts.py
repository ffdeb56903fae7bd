"""The counts of items and events, by status and client: statements that keep and check them."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ..items import Item
from .rows import Rows, Statement, Statements

_ADD_ITEMS = (
    "INSERT INTO counts (status, number) VALUES ($1, $2) "
    "ON CONFLICT (status) DO UPDATE SET number = counts.number + excluded.number"
)
_ADD_ITEMS_OF_CLIENT = (
    "INSERT INTO client_counts (client, requester, status, number) VALUES ($1, $2, $3, $4) "
    "ON CONFLICT (client, requester, status) "
    "DO UPDATE SET number = client_counts.number + excluded.number"
)

_ADD_EVENTS = (
    "INSERT INTO event_counts (client, requester, number) VALUES ($1, $2, $3) "
    "ON CONFLICT (client, requester) DO UPDATE SET number = event_counts.number + excluded.number"
)

REBUILD = (
    ("DELETE FROM counts", [()]),
    ("DELETE FROM client_counts", [()]),
    ("DELETE FROM event_counts", [()]),
    ("INSERT INTO counts SELECT status, count(*) FROM items GROUP BY status", [()]),
    (
        """
        INSERT INTO client_counts SELECT client, requester, status, count(*) FROM items
        WHERE client IS NOT NULL GROUP BY client, requester, status
        """,
        [()],
    ),
    ("INSERT INTO event_counts SELECT '', '', count(*) FROM events", [()]),
    (
        """
        INSERT INTO event_counts SELECT client, requester, count(*) FROM events
        WHERE client IS NOT NULL GROUP BY client, requester
        """,
        [()],
    ),
)
"""Statements that count everything again."""

AUDIT = """
SELECT status AS counted, number, (
    SELECT count(*) FROM items WHERE items.status = counts.status
) AS found FROM counts
UNION ALL
SELECT status || ' of ' || client || ' by ' || requester, number, (
    SELECT count(*) FROM items
    WHERE items.client = counted.client AND items.status = counted.status
        AND items.requester = counted.requester
) FROM client_counts AS counted
UNION ALL
SELECT 'events', (SELECT number FROM event_counts WHERE client = '' AND requester = ''), (
    SELECT count(*) FROM events
)
UNION ALL
SELECT 'events of ' || client || ' by ' || requester, number, (
    SELECT count(*) FROM events
    WHERE events.client = counted.client AND events.requester = counted.requester
) FROM event_counts AS counted WHERE client <> ''
"""
"""A query for each count as it is stored (`number`) and as it is (`found`)."""


def item_statements(items: Iterable[Item], before: Rows) -> Statements:
    """Yield the statements that count items whose rows were `before`."""
    moved = Counter((item.client, item.requester, item.status) for item in items)
    moved.subtract((row["client"] or "", row["requester"], row["status"]) for row in before)
    by_status = Counter[str]()
    for (_, _, status), number in moved.items():
        by_status[status] += number
    yield _ADD_ITEMS, [entry for entry in by_status.items() if entry[1]]
    yield _ADD_ITEMS_OF_CLIENT, [(*of, number) for of, number in moved.items() if of[0] and number]


def event_statement(about: Iterable[tuple[Any, ...]]) -> Statement:
    """Return the statement that counts events, in all and by client.

    `about` has kind, requester and client of each event's item.
    """
    owners = Counter((client or "", requester) for _, requester, client in about)
    of_clients = [(*of, number) for of, number in owners.items() if of[0]]
    return _ADD_EVENTS, [("", "", owners.total()), *of_clients]
