"""The index of a node that fetched its state: its own where it goes on from there, or a peer's.

Such a node has no blocks from before its state, so it can't index them. An index that has all up to
that state, and is of this chain, is kept; else a peer's copy takes its place.
"""

from dataclasses import asdict
from pathlib import Path

from pydantic import Field, SecretStr

from ...errors import RecoveryRefused
from ..asking import Object
from ..snapshots import files, index, manifest
from ..snapshots.manifest import IndexPart
from .reported import Reported

ASIDE = "before_recovery"


class Now(Reported):
    """The index's database, and PostgreSQL's programs on the host whose index it is."""

    postgres_bin: Path
    dsn: SecretStr


class Load(Now):
    """A peer's snapshot, whose manifest the control machine has seen, and the least height.

    `node_python` is the interpreter of the node's environment.
    """

    snapshot: Path
    node_python: Path
    manifest_sha256: str
    chain_id: str
    least: int = Field(ge=1)


def now(wanted: Now, *, check: bool) -> Object:
    """Answer with the newest block of the index, None where there is none."""
    del check
    found = index.named(wanted.dsn.get_secret_value(), wanted.postgres_bin).ask(index.newest)
    return {"index": asdict(found) if found else None}


def load(wanted: Load, *, check: bool) -> Object:
    """Put a peer's copy in the place of the index, in one transaction; the node is stopped.

    Raises RecoveryRefused where the copy is another one, or does not reach far enough.
    """
    part = _verified(wanted)
    database = index.named(wanted.dsn.get_secret_value(), wanted.postgres_bin)
    found = database.ask(index.newest)
    if found is not None and found.part() == part:
        return {"changed": [], "index": part.model_dump(), "before": asdict(found)}
    if not check:
        database.run(f"DROP SCHEMA IF EXISTS {ASIDE} CASCADE")
        dump = wanted.snapshot / manifest.INDEX
        database.put_in_place(dump, index.schema(wanted.node_python, part), ASIDE)
        database.run(f"DROP SCHEMA IF EXISTS {ASIDE} CASCADE")
    return {
        "changed": [index.SCHEMA],
        "index": part.model_dump(),
        "before": asdict(found) if found else None,
    }


def _verified(wanted: Load) -> IndexPart:
    given = manifest.read(wanted.snapshot)
    told = manifest.parse(given, wanted.snapshot)
    where = f"{wanted.snapshot} on this host"
    if files.measure(wanted.snapshot / manifest.NAME).sha256 != wanted.manifest_sha256:
        raise RecoveryRefused(f"{where} is another snapshot than the peer's", hint=_AGAIN)
    if told.chain_id != wanted.chain_id or told.index is None:
        raise RecoveryRefused(f"{where} has no index of {wanted.chain_id}", hint=_AGAIN)
    if files.measure(wanted.snapshot / manifest.INDEX) != told.files[manifest.INDEX]:
        raise RecoveryRefused(f"{where}: {manifest.INDEX} is damaged", hint=_AGAIN)
    if told.index.height < wanted.least:
        raise RecoveryRefused(
            f"{where} has the index up to {told.index.height}, the state is of {wanted.least}: "
            "the blocks between would be missing",
            hint=_AGAIN,
        )
    return told.index


_AGAIN = "run this again: it makes another copy on a peer"
