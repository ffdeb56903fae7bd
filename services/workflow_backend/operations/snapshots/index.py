"""The node's index: a schema of its database, and whether it is of this chain."""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from ...errors import RecoveryRefused, SettingError
from . import node_programs
from .manifest import IndexPart
from .postgres import Database, Schema

SCHEMA = "public"
DSN = "XIAN_BDS_DSN"
_NEWEST = "SELECT height, lower(block_hash) AS hash FROM blocks ORDER BY height DESC LIMIT 1"
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
    compare: Callable[[asyncpg.Connection], Awaitable[object]] | None = None,
) -> Schema:
    """Return the index's schema as this release's app makes it, for the index of a manifest.

    `python` is the interpreter of the node's environment. Raises RecoveryRefused where the
    manifest's index is of another release's schema.
    """
    made = node_programs.ask(python, {"action": "index_schema"})
    if part.schema_version != made["version"]:
        raise RecoveryRefused(
            f"the snapshot's index has the schema {part.schema_version}, this release's app "
            f"{made['version']}",
            hint="restore with the release that made it, or keep the index: "
            "-e snapshots_restore_index=never",
        )
    return Schema(SCHEMA, made["statements"], condition(part), compare)


def condition(part: IndexPart) -> str:
    """Return the SQL condition that the index is the one that a manifest tells."""
    block = f"({part.height}, '{part.block_hash}')"
    newest = f"FROM {SCHEMA}.blocks ORDER BY height DESC LIMIT 1"
    return f"SELECT (height, lower(block_hash)) = {block} {newest}"
