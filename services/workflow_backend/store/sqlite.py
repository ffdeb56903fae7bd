"""The projection in SQLite: one writer, any number of readers, in WAL mode."""

import json
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Self

from ..chain.events import Cursor
from ..errors import ProjectionMismatch, ProjectionUnavailable
from ..items import STATUSES, Event, Item, Place

_UPSERT = """
INSERT INTO items VALUES (
    :item_id, :requester, :kind, :payload_uri, :metadata_ref, :status, :worker, :result_uri,
    :failure_reason, :created_at, :updated_at, :attempt, :lease_seconds, :contested_at, :first_place
)
ON CONFLICT (item_id) DO UPDATE SET
    status = excluded.status,
    worker = excluded.worker,
    result_uri = excluded.result_uri,
    failure_reason = excluded.failure_reason,
    updated_at = excluded.updated_at,
    attempt = excluded.attempt,
    lease_seconds = excluded.lease_seconds,
    contested_at = excluded.contested_at
"""
_ITEMS = "SELECT * FROM items WHERE ?1 IS NULL ORDER BY first_place DESC LIMIT ?2 OFFSET ?3"
_ITEMS_OF_STATUS = (
    "SELECT * FROM items WHERE status = ?1 ORDER BY first_place DESC LIMIT ?2 OFFSET ?3"
)
_EVENTS = "SELECT * FROM events WHERE ?1 IS NULL ORDER BY place DESC LIMIT ?2"
_EVENTS_OF_ITEM = "SELECT * FROM events WHERE item_id = ?1 ORDER BY place DESC LIMIT ?2"


class SqliteStore:
    """The projection of one contract on one chain. Its methods block and may run in any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()

    @classmethod
    def for_writing(cls, path: Path, chain_id: str, contract: str) -> Self:
        """Open the projection, made if need be; raises ProjectionMismatch naming both owners."""
        path.parent.mkdir(parents=True, exist_ok=True)
        store = cls(path)
        database = store._database(create=True)
        _migrate(database)
        with database:
            database.execute(
                "INSERT INTO projection VALUES (1, ?, ?, ?, 0) ON CONFLICT DO NOTHING",
                (chain_id, contract, json.dumps(Cursor().as_json())),
            )
        store.require(chain_id, contract)
        return store

    def require(self, chain_id: str, contract: str) -> None:
        """Raise ProjectionMismatch where the projection is of another chain or contract."""
        row = self._one("SELECT chain_id, contract FROM projection")
        if (row["chain_id"], row["contract"]) != (chain_id, contract):
            raise ProjectionMismatch(
                f"{self._path} projects {row['contract']} on {row['chain_id']}, "
                f"not {contract} on {chain_id}"
            )

    def apply(
        self, events: Sequence[Event], items: Iterable[Item], cursor: Cursor, height: int
    ) -> None:
        """Take in a page of events with the records of the items they touch, in one transaction.

        Applying a page again changes nothing.
        """
        first: dict[str | None, int] = {}
        for event in events:
            first.setdefault(event.item_id, _pack(event.place))
        database = self._database()
        with database:
            database.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (
                    (
                        _pack(event.place),
                        event.name,
                        event.item_id,
                        json.dumps(event.data),
                        event.tx_hash,
                        event.created_at,
                    )
                    for event in events
                ),
            )
            database.executemany(
                _UPSERT,
                (item.as_dict() | {"first_place": first[item.item_id]} for item in items),
            )
            database.execute(
                "UPDATE projection SET cursor = ?, height = ?",
                (json.dumps(cursor.as_json()), height),
            )

    def cursor(self) -> Cursor:
        """Return how far the projection is."""
        return Cursor.from_json(json.loads(self._one("SELECT cursor FROM projection")["cursor"]))

    def position(self) -> dict[str, Any]:
        """Return chain id, contract, the height taken in and the place of the last event."""
        row = self._one("SELECT chain_id, contract, height, cursor FROM projection")
        place = Place(*json.loads(row["cursor"])["place"])
        return {
            "chain_id": row["chain_id"],
            "contract": row["contract"],
            "height": row["height"],
            "last_event": str(place) if place.height >= 0 else None,
        }

    def item(self, item_id: str) -> dict[str, Any] | None:
        """Return one projected item, or None."""
        rows = self._all("SELECT * FROM items WHERE item_id = ?", item_id)
        return _record(rows[0]) if rows else None

    def items(self, status: str | None, limit: int, offset: int) -> list[dict[str, Any]]:
        """Return items, newest first, of one status or of all."""
        rows = self._all(_ITEMS_OF_STATUS if status else _ITEMS, status, limit, offset)
        return [_record(row) for row in rows]

    def events(self, item_id: str | None, limit: int) -> list[dict[str, Any]]:
        """Return the last events, newest first, of one item or of all."""
        rows = self._all(_EVENTS_OF_ITEM if item_id else _EVENTS, item_id, limit)
        return [_event(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """Return the number of items by status, every status named."""
        rows = self._all("SELECT status, count(*) AS number FROM items GROUP BY status")
        return dict.fromkeys(STATUSES, 0) | {row["status"]: row["number"] for row in rows}

    def _one(self, sql: str) -> dict[str, Any]:
        rows = self._all(sql)
        if not rows:
            raise ProjectionUnavailable(f"{self._path} holds no projection yet")
        return rows[0]

    def _all(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        try:
            return [dict(row) for row in self._database().execute(sql, values)]
        except sqlite3.OperationalError as error:
            raise ProjectionUnavailable(f"{self._path} can't be read: {error}") from error

    def _database(self, *, create: bool = False) -> sqlite3.Connection:
        database: sqlite3.Connection | None = getattr(self._local, "database", None)
        if database is None:
            mode = "rwc" if create else "rw"
            try:
                database = sqlite3.connect(f"{self._path.resolve().as_uri()}?mode={mode}", uri=True)
                database.row_factory = sqlite3.Row
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = NORMAL")
                database.execute("PRAGMA busy_timeout = 5000")
            except sqlite3.OperationalError as error:
                raise ProjectionUnavailable(f"{self._path} can't be opened: {error}") from error
            self._local.database = database
        return database


def _migrate(database: sqlite3.Connection) -> None:
    """Bring the schema to the newest version, a numbered file a step."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    folder = resources.files(__package__) / "migrations"
    for step in sorted(folder.iterdir(), key=lambda entry: entry.name):
        number = int(step.name.split("_")[0])
        if number > version:
            database.executescript(
                f"BEGIN; {step.read_text(encoding='utf-8')} PRAGMA user_version = {number}; COMMIT;"
            )


def _pack(place: Place) -> int:
    return place.height << 32 | place.tx_index << 16 | place.event_index


def _record(row: dict[str, Any]) -> dict[str, Any]:
    del row["first_place"]  # where the item stands in the list is the store's own affair
    return row


def _event(row: dict[str, Any]) -> dict[str, Any]:
    place = row["place"]
    where = Place(place >> 32, place >> 16 & 0xFFFF, place & 0xFFFF)
    return {
        "id": str(where),
        "block_height": where.height,
        "event": row["name"],
        "item_id": row["item_id"],
        "data": json.loads(row["data"]),
        "tx_hash": row["tx_hash"],
        "created_at": row["created_at"],
    }
