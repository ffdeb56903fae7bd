"""The projection's database: what the projector writes and the API reads."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..settings import Settings
from .base import Store, WritableStore
from .sqlite import SqliteStore


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Open the projection for reading; it need not be there yet."""
    async with the_store(settings) as store:
        yield store


@asynccontextmanager
async def open_for_writing(settings: Settings) -> AsyncIterator[WritableStore]:
    """Open the projection, made or brought to this release's schema if need be.

    Raises ProjectionMismatch naming both owners, and ProjectionUnavailable.
    """
    async with the_store(settings) as store:
        await store.prepare()
        yield store


@asynccontextmanager
async def the_store(settings: Settings) -> AsyncIterator[WritableStore]:
    """Open the projection that the settings name, as it is."""
    dsn = settings.projection_dsn()
    store: WritableStore
    if dsn is None:
        store = SqliteStore(settings.projection_path, settings.chain_id, settings.contract)
    else:
        # Its client is loaded only where it is used.
        from .postgresql import PostgresqlStore  # noqa: PLC0415

        store = PostgresqlStore(dsn, settings.chain_id, settings.contract)
    try:
        yield store
    finally:
        await store.close()
