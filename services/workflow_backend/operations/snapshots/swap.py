"""The later steps of a restore: swap state and index, then finish or undo."""

import asyncio
import hashlib
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from ...chain.cometbft import CometBft
from ...chain.rpc import Rpc
from ...errors import NodeRefused, NodeUnavailable, RecoveryRefused
from . import files, index, index_blocks, node_programs
from .blocks import OwnStore, require_on_chain, rpc_url
from .index_blocks import BlockTransactions, KnownBlocks, choose_heights
from .journal import Entry, Journal
from .locks import shared_lock
from .manifest import INDEX, IndexPart, parse_manifest, read_manifest
from .postgres import Database
from .prepare_restore import STATE, Object, Step, describe, index_database

KEPT = "xian.before-restore"
SPOOL = "bds-spool"


def swap(request: Step, *, check: bool) -> Object:
    """Replace state and index by the new ones, and keep the old ones beside them."""
    journal = Journal(request.home)
    entry = _require_entry(journal)
    if entry.phase == "swapped":
        return {"changed": [], "restore": describe(entry)}
    if entry.phase not in {"prepared", "swapping"}:
        raise RecoveryRefused(
            f"the restore of {entry.name} is {entry.phase} already",
            hint="run restore-state-snapshot.yml again, which ends it",
        )
    _require_stopped(request)
    inspection = OwnStore(request.home, request.cometbft).inspect(entry.height)
    require_on_chain(entry.chain_id, entry.height, entry.app_hash, inspection)
    if not check:
        if entry.phase == "prepared":
            had_state = (request.home / STATE).exists()
            entry = entry.model_copy(update={"phase": "swapping", "had_state": had_state})
            journal.write(entry)
        if entry.index:
            _swap_index(request, index_database(request.postgres_bin), entry, entry.index)
        _swap_state(request.home, journal.folder, had_state=entry.had_state)
        entry = entry.model_copy(update={"phase": "swapped"})
        journal.write(entry)
    changed = [str(request.home / STATE), *(["index"] if entry.index else [])]
    return {"changed": changed, "restore": describe(entry)}


def _require_entry(journal: Journal) -> Entry:
    entry = journal.read()
    if entry is None:
        raise RecoveryRefused(
            f"no restore is in progress in {journal.folder.parent}",
            hint="begin one: restore-state-snapshot.yml",
        )
    return entry


def _require_stopped(request: Step) -> None:
    node_programs.ask(request.node_python, {"action": "stopped", "home": str(request.home)})
    if asyncio.run(_ask_node(request.home)) is not None:
        raise RecoveryRefused(f"the node of {request.home} runs", hint="stop it first")


def _swap_index(request: Step, database: Database, entry: Entry, part: IndexPart) -> None:
    if database.has_schema(entry.aside):
        return  # it is in its place
    with shared_lock(entry.snapshot):
        given = read_manifest(entry.snapshot)
        if hashlib.sha256(given).hexdigest() != entry.digest:
            raise RecoveryRefused(
                f"{entry.snapshot} is not the snapshot any more that was prepared",
                hint="undo this restore (-e snapshots_undo=true), and begin again",
            )
        files.require_same(entry.snapshot, parse_manifest(given, entry.snapshot))
        store = OwnStore(request.home, request.cometbft)
        compare = partial(index_blocks.require_same_blocks, *_own_blocks(store, part))
        schema = index.schema(request.node_python, part, compare)
        database.load_and_swap(entry.snapshot / INDEX, schema, entry.aside)


def _own_blocks(store: OwnStore, part: IndexPart) -> tuple[KnownBlocks, BlockTransactions]:
    """Return what the node's own blocks say, and what asks them for more.

    The heights are chosen now that the snapshot can't change any more.
    """
    there = store.inspect(part.height).store
    heights = choose_heights(there.base, min(part.height, there.height))

    async def transactions(some: Sequence[int]) -> Mapping[int, frozenset[str]]:
        return (await asyncio.to_thread(store.inspect, part.height, *some)).transactions

    return store.known_blocks(heights), transactions


def _swap_state(home: Path, folder: Path, *, had_state: bool) -> None:
    live, new, old = home / STATE, folder / "new" / STATE, folder / "old" / STATE
    if not new.exists():
        if live.exists() and (old.exists() or not had_state):
            return  # it is in its place
        raise RecoveryRefused(
            f"the state that was prepared in {folder} is gone",
            hint="undo this restore (-e snapshots_undo=true), and begin again",
        )
    if live.exists():
        if old.exists() or not had_state:
            raise RecoveryRefused(
                f"an app made a new state in {live} meanwhile",
                hint="move it away, and run restore-state-snapshot.yml again",
            )
        old.parent.mkdir(mode=0o700, exist_ok=True)
        live.rename(old)
        files.sync(home)
        files.sync(old.parent)
    _copy_spool(old, new)
    new.rename(live)
    files.sync(new.parent)
    files.sync(home)


def _copy_spool(old: Path, new: Path) -> None:
    """Copy the blocks that wait for the index: the node may not have all of them any more."""
    if not (old / SPOOL).is_dir():
        return
    (new / SPOOL).mkdir(mode=0o700, exist_ok=True)
    for path in (old / SPOOL).glob("*.json"):
        shutil.copyfile(path, new / SPOOL / path.name)


def undo(request: Step, *, check: bool) -> Object:
    """Put the old state and index back, however far the restore came."""
    journal = Journal(request.home)
    entry = journal.read()
    if entry is None:
        return {"changed": [], "restore": None}
    if entry.phase == "finishing":
        raise RecoveryRefused(
            f"the restore of {entry.name} was found good, and is being finished",
            hint="run restore-state-snapshot.yml again, which finishes it; the old state is then "
            f"in {KEPT}",
        )
    touched = entry.phase != "prepared"
    if touched:
        _require_stopped(request)
    database = index_database(request.postgres_bin) if touched and entry.index else None
    if not check:
        if touched:
            journal.write(entry.model_copy(update={"phase": "undoing"}))
            _put_state_back(request.home, journal.folder, had_state=entry.had_state)
            if database and database.has_schema(entry.aside):
                database.put_back(index.SCHEMA, entry.aside)
        journal.forget()
        shutil.rmtree(journal.folder)
    changed = [str(request.home / STATE)] if touched else [str(journal.folder)]
    return {"changed": changed, "restore": None, "undone": describe(entry)}


def _put_state_back(home: Path, folder: Path, *, had_state: bool) -> None:
    live, new, old = home / STATE, folder / "new" / STATE, folder / "old" / STATE
    failed = folder / "failed"
    moved = old.exists() or (not had_state and not new.exists())
    if moved and live.exists():
        if failed.exists():
            shutil.rmtree(failed)
        live.rename(failed)
    if old.exists():
        old.rename(live)
    files.sync(home)


def finish(request: Step, *, check: bool) -> Object:
    """Finish a restore once the node runs with it: keep the old state aside, drop the old index."""
    journal = Journal(request.home)
    entry = journal.read()
    if entry is None:
        return {"changed": [], "restore": None}
    if entry.phase not in {"swapped", "finishing"}:
        raise RecoveryRefused(
            f"the restore of {entry.name} is {entry.phase}, not in its place",
            hint="run restore-state-snapshot.yml again, or undo it (-e snapshots_undo=true)",
        )
    _require_healthy(request.home, entry)
    kept = request.home.parent / KEPT
    database = index_database(request.postgres_bin) if entry.index else None
    if not check:
        journal.write(entry.model_copy(update={"phase": "finishing"}))
        old = journal.folder / "old" / STATE
        if old.exists():
            if kept.exists():
                shutil.rmtree(kept)
            old.rename(kept)
        if database and database.has_schema(entry.aside):
            database.run(f"DROP SCHEMA {entry.aside} CASCADE")
        journal.forget()
        shutil.rmtree(journal.folder)
    return {"changed": [str(kept)], "restore": None, "finished": describe(entry)}


def _require_healthy(home: Path, entry: Entry) -> None:
    answer = asyncio.run(_ask_node(home))
    if answer is None:
        raise RecoveryRefused(
            f"the node of {home} does not answer",
            hint="start it; if it does not start, undo the restore (-e snapshots_undo=true)",
        )
    chain_id, height = answer
    if chain_id != entry.chain_id or height < entry.height:
        raise RecoveryRefused(
            f"the node's app is on chain {chain_id!r} at height {height}, "
            f"not on {entry.chain_id!r} at {entry.height} or above",
            hint="see its log; if it stays there, undo the restore (-e snapshots_undo=true)",
        )


async def _ask_node(home: Path) -> tuple[str, int] | None:
    """Return chain id and app's height of the running node; None where it does not answer."""
    async with Rpc(rpc_url(home)) as rpc:
        try:
            node = CometBft(rpc)
            chain_id = (await node.status()).chain_id
            height = (await node.app_info()).height
        except NodeUnavailable, NodeRefused:
            return None
    return chain_id, height
