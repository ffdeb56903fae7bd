"""The first step of a restore: verify the snapshot and import its state beside the old one.

A restore replaces a node's state and, where the snapshot's is better, its index. It has steps, and
each one can be repeated after it was interrupted:

    prepare   verify everything, import the new state beside the old one; the node may run
    swap      move old state and index aside, the new ones in their place; the node is stopped
              (the playbook starts the node here, and it must become healthy)
    finish    drop the old index, keep the old state as xian.before-restore
    undo      instead of swap or finish: put old state and index back; the node is stopped

Nothing in the home's `data` is ever touched: neither the blocks nor what the validator has signed.
`swap`, `finish` and `undo` are in the module `swap`.
"""

import hashlib
import os
import shutil
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from ... import times
from ...errors import RecoveryRefused
from ..requests import Request
from . import files, index, node_programs
from .blocks import OwnStore, require_on_chain
from .journal import Entry, Journal
from .locks import shared_lock
from .manifest import IndexPart
from .postgres import Database
from .verify import Verified, Verify, verified

STATE = "xian"
"""The folder of a home that holds the app's state."""

type Object = dict[str, Any]


class Restore(Verify):
    """A snapshot and the home to restore it into, which the calling account owns.

    `index` says whether the index is restored: `auto` restores it if the one in use has fewer
    blocks or is another chain's.
    """

    home: Path
    node_python: Path
    cometbft: Path
    index: Literal["auto", "always", "never"] = "auto"


class Step(Request):
    """A home with a restore in progress."""

    home: Path
    node_python: Path
    cometbft: Path
    postgres_bin: Path | None = None


def status(request: Step, *, check: bool) -> Object:
    """Return the restore in progress, if there is one."""
    del check
    entry = Journal(request.home).read()
    return {"restore": describe(entry)}


def prepare(request: Restore, *, check: bool) -> Object:
    """Verify the snapshot, and import its state beside the one in use.

    Asked again for the snapshot that is in its place already, it says so and does nothing. Raises
    RecoveryRefused with nothing changed.
    """
    with shared_lock(request.snapshot):
        return _prepare(request, check=check)


def _prepare(request: Restore, *, check: bool) -> Object:
    journal = Journal(request.home)
    under_way = journal.read()
    snapshot = verified(request)
    if under_way is not None and under_way.phase != "prepared":
        _require_same(under_way, snapshot)
        return {"changed": [], "restore": describe(under_way)}
    manifest = snapshot.manifest
    _require_home(request)
    store = OwnStore(request.home, request.cometbft)
    inspection = store.inspect(manifest.height)
    require_on_chain(manifest.chain_id, manifest.height, manifest.app_hash, inspection)
    part = _choose_index(request, snapshot, store)
    entry = Entry(
        phase="prepared",
        name=manifest.name,
        digest=snapshot.digest,
        snapshot=request.snapshot.absolute(),
        chain_id=manifest.chain_id,
        height=manifest.height,
        app_hash=manifest.app_hash,
        had_state=(request.home / STATE).exists(),
        index=part,
        aside=f"before_restore_{snapshot.digest[:12]}",
        begun_at=times.now(),
    )
    if not check:
        _import_state(request, snapshot, journal, part)
        journal.write(entry)
    return {
        "changed": [str(journal.folder)],
        "restore": describe(entry),
        "trusted_for": snapshot.trusted_for,
        "blocks": asdict(inspection.store),
    }


def describe(entry: Entry | None) -> Object | None:
    """Return what an answer says of a restore."""
    return entry.model_dump(mode="json") if entry else None


def _require_same(under_way: Entry, snapshot: Verified) -> None:
    if under_way.digest != snapshot.digest or under_way.phase == "undoing":
        what = "undone" if under_way.phase == "undoing" else "finished"
        raise RecoveryRefused(
            f"the restore of {under_way.name} was begun at {under_way.begun_at} and not {what}",
            hint="finish it first (restore-state-snapshot.yml with the same snapshot), or undo it "
            "(-e snapshots_undo=true)",
        )


def _require_home(request: Restore) -> None:
    path = request.home / "config" / "genesis.json"
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise RecoveryRefused(
            f"{request.home} is not a node's home: {path.name} can't be read",
            hint="deploy it first",
        ) from error
    if digest != request.genesis_sha256:
        raise RecoveryRefused(
            f"{path} is another genesis ({digest}) than this network's ({request.genesis_sha256})",
            hint="the home is another network's: nothing is restored into it",
        )
    # The node starts with each of these, whatever the snapshot brings.
    node_programs.ask(request.node_python, {"action": "whole", "home": str(request.home)})


def _choose_index(request: Restore, snapshot: Verified, store: OwnStore) -> IndexPart | None:
    """Return the index to be restored, None where the one in use stays.

    One that has more is not given up for one that has less: the node may not have those blocks.
    """
    part = snapshot.manifest.index
    if request.index == "never" or not _has_index(request.home):
        return None
    if part is None:
        if request.index == "always":
            raise RecoveryRefused(
                "the snapshot has no index",
                hint="use another snapshot, or leave out -e snapshots_restore_index=always",
            )
        return None
    now = index_database(request.postgres_bin).ask(index.newest)
    heights = {part.height} | ({now.height} if now else set())
    hashes = store.inspect(snapshot.manifest.height, *heights).block_hashes
    if hashes.get(part.height, part.block_hash) != part.block_hash:
        raise RecoveryRefused(
            f"the snapshot's index has the block {part.block_hash} at height {part.height}, "
            f"the chain {hashes[part.height]}",
            hint="use another snapshot, or keep the index: -e snapshots_restore_index=never",
        )
    ours = now is not None and hashes.get(now.height) == now.block_hash
    if request.index == "auto" and now is not None and ours and now.height >= part.height:
        return None
    return part


def _has_index(home: Path) -> bool:
    path = home / "config" / "xian.toml"
    return bool(tomllib.loads(path.read_text(encoding="utf-8")).get("bds_enabled"))


def index_database(programs: Path | None) -> Database:
    """Return the index's database; raises RecoveryRefused where its programs were not given."""
    if programs is None:
        raise RecoveryRefused(
            "the folder of PostgreSQL's programs is not known",
            hint="set snapshots_postgres_bin to the folder of pg_dump and pg_restore",
        )
    return index.database(programs, os.environ)


def _import_state(
    request: Restore, snapshot: Verified, journal: Journal, part: IndexPart | None
) -> None:
    """Import the state; upstream's import holds its root against the app hash once more."""
    if journal.folder.exists():
        _require_no_old_state(journal)
        shutil.rmtree(journal.folder)
    journal.folder.mkdir(mode=0o700)
    try:
        _import(request, snapshot, journal, part)
    except BaseException:
        shutil.rmtree(journal.folder)
        raise


def _import(request: Restore, snapshot: Verified, journal: Journal, part: IndexPart | None) -> None:
    manifest = snapshot.manifest
    made = node_programs.ask(
        request.node_python,
        {
            "action": "import",
            "archive": str(snapshot.state),
            "storage": str(journal.folder / "new" / STATE),
            "chain_id": manifest.chain_id,
            "height": manifest.height,
            "app_hash": manifest.app_hash,
        },
    )
    storage = journal.folder / "new" / STATE
    for path in (storage / "lmdb", storage, storage.parent, journal.folder):
        files.sync(path)
    if part is not None and part.schema_version != made["index_schema"]:
        raise RecoveryRefused(
            f"the snapshot's index has the schema {part.schema_version}, this release's app "
            f"{made['index_schema']}",
            hint="restore with the release that made it, or keep the index: "
            "-e snapshots_restore_index=never",
        )


def _require_no_old_state(journal: Journal) -> None:
    old = journal.folder / "old" / STATE
    if old.exists():
        raise RecoveryRefused(
            f"{old} holds an old state, and nothing says why",
            hint="find out whether it is still needed, and move it away",
        )
