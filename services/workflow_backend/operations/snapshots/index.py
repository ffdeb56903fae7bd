"""The node's index: a schema of its database, and whether it is of this chain."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from ...errors import SettingError
from .manifest import IndexPart
from .postgres import Database

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


def condition(part: IndexPart) -> str:
    """Return the SQL condition that the index is the one that a manifest tells."""
    block = f"({part.height}, '{part.block_hash}')"
    newest = f"FROM {SCHEMA}.blocks ORDER BY height DESC LIMIT 1"
    return f"SELECT (height, lower(block_hash)) = {block} {newest}"
