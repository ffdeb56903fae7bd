"""The index of a node that fetched its state: the one that its host still has, or a peer's copy.

Such a node has no blocks from before its state, so it can't index them. An index of this chain that
reaches that state is kept. Otherwise a peer's copy replaces it.
"""

from dataclasses import asdict
from pathlib import Path

import asyncpg
from pydantic import Field, SecretStr

from ...errors import RecoveryRefused
from ..network.report import Reported
from ..requests import Object
from ..snapshots import files, index
from ..snapshots.index_blocks import Compared, require_same_blocks
from ..snapshots.manifest import INDEX, MANIFEST, IndexPart, parse_manifest, read_manifest
from .index_blocks import read_blocks

ASIDE = "before_recovery"


class CurrentIndex(Reported):
    """The index's database, and PostgreSQL's programs on the host whose index it is."""

    postgres_bin: Path
    dsn: SecretStr


class LoadIndex(CurrentIndex):
    """A peer's snapshot, whose manifest the control machine has verified, and the least height.

    `node_python` is the interpreter of the node's environment. The file `blocks` has what other
    peers say of the index's blocks.
    """

    snapshot: Path
    node_python: Path
    manifest_sha256: str
    chain_id: str
    least: int = Field(ge=1)
    blocks: Path


def current_index(request: CurrentIndex, *, check: bool) -> Object:
    """Return the newest block of a host's index, if it has one."""
    del check
    found = index.named(request.dsn.get_secret_value(), request.postgres_bin).ask(index.newest)
    return {"index": asdict(found) if found else None}


def load_index(request: LoadIndex, *, check: bool) -> Object:
    """Replace a host's index by a peer's copy, in one transaction; its node is stopped.

    `compared` says how much of it was compared with the blocks of other peers. Raises
    RecoveryRefused where the copy is another one, does not reach far enough, or has other blocks.
    """
    part = _verified_part(request)
    known = read_blocks(request.blocks)
    database = index.named(request.dsn.get_secret_value(), request.postgres_bin)
    found = database.ask(index.newest)
    if found is not None and found.part() == part:
        return {"changed": [], "index": part.model_dump(), "before": asdict(found)}
    compared: list[Compared] = []

    async def compare(connection: asyncpg.Connection) -> None:
        try:
            compared.append(await require_same_blocks(known, None, connection))
        except RecoveryRefused as error:  # what it advises is for a restore
            raise RecoveryRefused(str(error), hint=_OTHER_PEER) from error

    if not check:
        database.run(f"DROP SCHEMA IF EXISTS {ASIDE} CASCADE")
        dump = request.snapshot / INDEX
        database.load_and_swap(dump, index.schema(request.node_python, part, compare), ASIDE)
        database.run(f"DROP SCHEMA IF EXISTS {ASIDE} CASCADE")
    return {
        "changed": [index.SCHEMA],
        "index": part.model_dump(),
        "before": asdict(found) if found else None,
        "compared": asdict(compared[0]) if compared else None,
    }


def _verified_part(request: LoadIndex) -> IndexPart:
    given = read_manifest(request.snapshot)
    snapshot = parse_manifest(given, request.snapshot)
    where = f"{request.snapshot} on this host"
    if files.measure(request.snapshot / MANIFEST).sha256 != request.manifest_sha256:
        raise RecoveryRefused(f"{where} is another snapshot than the peer's", hint=_RETRY)
    if snapshot.chain_id != request.chain_id or snapshot.index is None:
        raise RecoveryRefused(f"{where} has no index of {request.chain_id}", hint=_RETRY)
    if files.measure(request.snapshot / INDEX) != snapshot.files[INDEX]:
        raise RecoveryRefused(f"{where}: {INDEX} is damaged", hint=_RETRY)
    if snapshot.index.height < request.least:
        raise RecoveryRefused(
            f"{where} has the index up to {snapshot.index.height}, the state is of "
            f"{request.least}: the blocks between would be missing",
            hint=_RETRY,
        )
    return snapshot.index


_RETRY = "run this again: it makes another copy on a peer"
_OTHER_PEER = (
    "the peer that it was copied from differs from the others: find out which of them is wrong, "
    "stop that one, then run this again"
)
