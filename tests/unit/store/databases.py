"""The databases that a projection may be in, each as the tests make it."""

from pathlib import Path
from typing import Any, Protocol

import asyncpg

from workflow_backend.items import START
from workflow_backend.store.base import EventFilter, ItemFilter, WritableStore
from workflow_backend.store.postgresql import PostgresqlStore
from workflow_backend.store.sqlite import SqliteStore

from .records import CHAIN, CONTRACT


class Database(Protocol):
    """One database, empty at first."""

    def store(self, chain_id: str = CHAIN, contract: str = CONTRACT) -> WritableStore:
        """Another process's view of it."""
        ...

    async def empty(self) -> None:
        """Remove the projection that is in it."""
        ...


class Sqlite:
    """A file that is not there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def store(self, chain_id: str = CHAIN, contract: str = CONTRACT) -> SqliteStore:
        return SqliteStore(self.path, chain_id, contract)

    async def empty(self) -> None:
        for path in self.path.parent.glob(f"{self.path.name}*"):
            path.unlink()


class Postgresql:
    """A database in which there is no projection yet."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    def store(self, chain_id: str = CHAIN, contract: str = CONTRACT) -> PostgresqlStore:
        return PostgresqlStore(self.dsn, chain_id, contract)

    async def empty(self) -> None:
        connection = await asyncpg.connect(self.dsn)
        await connection.execute("DROP SCHEMA IF EXISTS workflow_projection CASCADE")
        await connection.close()


async def everything(store: WritableStore) -> tuple[Any, ...]:
    """All that a reader may see of a small projection."""
    return (
        (await store.items(ItemFilter(), 1_000)).rows,
        (await store.events(EventFilter(), 1_000)).rows,
        await store.events_after(START),
        await store.counts(),
        await store.progress(),
        await store.cursor(),
    )
