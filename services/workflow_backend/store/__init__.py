"""The projection's database, which the projector writes and the API reads."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from ..settings import Settings
from . import files
from .base import Store, WritableStore
from .sqlite import SqliteStore


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Open the projection for reading; it need not exist yet."""
    async with open_as_is(settings) as store:
        yield store


@asynccontextmanager
async def open_for_writing(settings: Settings) -> AsyncIterator[WritableStore]:
    """Open the projection for writing; create it or migrate its schema if necessary.

    Raises ProjectionMismatch naming both owners, and ProjectionUnavailable.
    """
    async with open_as_is(settings) as store:
        await store.prepare()
        yield store


@asynccontextmanager
async def open_as_is(settings: Settings) -> AsyncIterator[WritableStore]:
    """Open the projection that the settings name, as it is.

    Root is the account that owns its folder meanwhile.
    """
    dsn = settings.projection_dsn()
    path = settings.projection_path
    store: WritableStore
    with files.as_owner(path.parent) if dsn is None else nullcontext():
        if dsn is None:
            store = SqliteStore(path, settings.chain_id, settings.contract)
        else:
            # Load its client only if it is used.
            from .postgresql import PostgresqlStore  # noqa: PLC0415

            store = PostgresqlStore(dsn, settings.chain_id, settings.contract)
        try:
            yield store
        finally:
            await store.close()
