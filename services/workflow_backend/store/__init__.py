"""The projection's database: what the projector writes and the API reads."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..settings import Settings
from .base import Store, WritableStore
from .sqlite import SqliteStore


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Open the projection for reading; it need not be there yet."""
    store = _store(settings)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def open_for_writing(settings: Settings) -> AsyncIterator[WritableStore]:
    """Open the projection, made or brought to this release's schema if need be.

    Raises ProjectionMismatch naming both owners, and ProjectionUnavailable.
    """
    store = _store(settings)
    try:
        await store.prepare()
        yield store
    finally:
        await store.close()


def _store(settings: Settings) -> WritableStore:
    dsn = settings.projection_dsn()
    if dsn is None:
        return SqliteStore(settings.projection_path, settings.chain_id, settings.contract)
    from .postgresql import PostgresqlStore  # noqa: PLC0415 - its client loads only where it is used

    return PostgresqlStore(dsn, settings.chain_id, settings.contract)
