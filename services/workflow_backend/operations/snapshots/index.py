"""The node's index: a schema of its database, and whether it is of this chain."""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from ...errors import RecoveryRefused, SettingError
from . import node_programs
from .blocks import Look
from .manifest import IndexPart
from .postgres import Database, Schema

SCHEMA = "public"
DSN = "XIAN_BDS_DSN"
_NEWEST = "SELECT height, lower(block_hash) AS hash FROM blocks ORDER BY height DESC LIMIT 1"
_BLOCKS = "SELECT height, lower(block_hash) AS hash FROM blocks WHERE height = ANY($1::bigint[])"
_TRANSACTIONS = """
SELECT block_height, lower(hash) AS hash FROM transactions WHERE block_height = ANY($1::bigint[])
"""
_SPAN = """
SELECT count(*) AS blocks, min(height) AS first, max(height) AS last FROM blocks WHERE height > 0
"""
_VERSION = "SELECT value FROM bds_meta WHERE key = 'schema_version'"


@dataclass(frozen=True, slots=True)
class IndexNow:
    """The newest block that an index has."""

    height: int
    block_hash: str
    schema_version: int

    def part(self) -> IndexPart:
        """Return what a manifest says of it."""
        return IndexPart(
            height=self.height, block_hash=self.block_hash, schema_version=self.schema_version
        )


def database(programs: Path, environment: Mapping[str, str] | None = None) -> Database:
    """Return the index's database: the credential `index_dsn`, or XIAN_BDS_DSN."""
    env = os.environ if environment is None else environment
    credentials = env.get("CREDENTIALS_DIRECTORY")
    path = Path(credentials, "index_dsn") if credentials else None
    if path is not None and path.exists():
        return Database(path.read_text(encoding="utf-8").strip(), "index_dsn", programs)
    if not env.get(DSN):
        raise SettingError(f"neither {DSN} nor the credential index_dsn names the index's database")
    return Database(env[DSN], DSN, programs)


def named(dsn: str, programs: Path) -> Database:
    """Return the index's database by its DSN."""
    return Database(dsn, "the index's DSN", programs)


async def newest(connection: asyncpg.Connection) -> IndexNow | None:
    """Return the newest block; None where there is no index, or no block but the genesis."""
    if await connection.fetchval("SELECT to_regclass('public.blocks')") is None:
        return None
    row = await connection.fetchrow(_NEWEST)
    if row is None or row["height"] < 1:
        return None
    return IndexNow(row["height"], row["hash"], int(await connection.fetchval(_VERSION) or 0))


def schema(
    python: Path,
    part: IndexPart,
    compare: Callable[[asyncpg.Connection], Awaitable[None]] | None = None,
) -> Schema:
    """Return the index's schema as this release's app makes it, to be what a manifest tells.

    `python` is the interpreter of the node's environment. Raises RecoveryRefused where the
    manifest's index is of another release's schema.
    """
    made = node_programs.ask(python, {"action": "index_schema"})
    if part.schema_version != made["version"]:
        raise RecoveryRefused(
            f"the snapshot's index has the schema {part.schema_version}, this release's app "
            f"{made['version']}",
            hint="restore with the release that made it, or without the index (index: never)",
        )
    return Schema(SCHEMA, made["statements"], condition(part), compare)


def condition(part: IndexPart) -> str:
    """Return the SQL condition that the index is the one that a manifest tells."""
    block = f"({part.height}, '{part.block_hash}')"
    newest = f"FROM {SCHEMA}.blocks ORDER BY height DESC LIMIT 1"
    return f"SELECT (height, lower(block_hash)) = {block} {newest}"


async def require_on_chain(look: Look, connection: asyncpg.Connection) -> None:
    """Raise RecoveryRefused where an index has other blocks or transactions than a node.

    Each transaction that it has has to be in the block; not every one of a block has to be there,
    since the app leaves out what it can't read.
    """
    heights = sorted(look.block_hashes)
    for row in await connection.fetch(_BLOCKS, heights):
        known = look.block_hashes[row["height"]]
        if row["hash"] != known:
            raise RecoveryRefused(
                f"the snapshot's index has the block {row['hash']} at height {row['height']}, "
                f"the chain {known}",
                hint=_OTHER,
            )
    for row in await connection.fetch(_TRANSACTIONS, heights):
        if row["hash"] not in look.transactions[row["block_height"]]:
            raise RecoveryRefused(
                f"the snapshot's index has a transaction {row['hash']} in block "
                f"{row['block_height']}, the chain has none such",
                hint=_OTHER,
            )
    found = await connection.fetchrow(_SPAN)
    if found["blocks"] != found["last"] - found["first"] + 1:
        raise RecoveryRefused(
            f"the snapshot's index has {found['blocks']} blocks from {found['first']} to "
            f"{found['last']}: some are missing",
            hint=_OTHER,
        )


_OTHER = "use another snapshot, or leave the index (index: never)"
