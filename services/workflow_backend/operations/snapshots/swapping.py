"""The second half of a restore: into its place, and then finished or undone."""

import asyncio
import hashlib
import shutil
from functools import partial
from pathlib import Path

from ...chain.rpc import Rpc
from ...errors import NodeRefused, NodeUnavailable, RecoveryRefused
from . import files, index, manifest, node_programs
from .blocks import Look, OwnStore, require_on_chain, rpc_url
from .holding import held
from .journal import Entry, Journal
from .manifest import INDEX, IndexPart
from .postgres import Database
from .restoring import STATE, Object, Step, index_database, told

KEPT = "xian.before-restore"
COMPARED = 32
"""So many blocks of an index are held against those of the node, evenly spread."""

SPOOL = "bds-spool"


def swap(wanted: Step, *, check: bool) -> Object:
    """Put the new state and index in the place of the old ones, which wait beside them."""
    journal = Journal(wanted.home)
    entry = _require_entry(journal)
    if entry.phase == "swapped":
        return {"changed": [], "restore": told(entry)}
    if entry.phase not in {"prepared", "swapping"}:
        raise RecoveryRefused(
            f"the restore of {entry.name} is {entry.phase} already", hint="bring that to its end"
        )
    _require_stopped(wanted)
    look = OwnStore(wanted.home, wanted.cometbft).look(entry.height)
    require_on_chain(entry.chain_id, entry.height, entry.app_hash, look)
    if not check:
        if entry.phase == "prepared":
            had_state = (wanted.home / STATE).exists()
            entry = entry.model_copy(update={"phase": "swapping", "had_state": had_state})
            journal.write(entry)
        if entry.index:
            _swap_index(wanted, index_database(wanted.postgres_bin), entry, entry.index)
        _swap_state(wanted.home, journal.folder, had_state=entry.had_state)
        entry = entry.model_copy(update={"phase": "swapped"})
        journal.write(entry)
    changed = [str(wanted.home / STATE), *(["index"] if entry.index else [])]
    return {"changed": changed, "restore": told(entry)}


def _require_entry(journal: Journal) -> Entry:
    entry = journal.read()
    if entry is None:
        raise RecoveryRefused(
            f"no restore is under way in {journal.folder.parent}", hint="prepare one first"
        )
    return entry


def _require_stopped(wanted: Step) -> None:
    node_programs.ask(wanted.node_python, {"action": "stopped", "home": str(wanted.home)})
    if asyncio.run(_node_told(wanted.home)) is not None:
        raise RecoveryRefused(f"the node of {wanted.home} runs", hint="stop it first")


def _swap_index(wanted: Step, database: Database, entry: Entry, part: IndexPart) -> None:
    if database.has_schema(entry.aside):
        return  # it is in its place
    with held(entry.snapshot):
        given = manifest.read(entry.snapshot)
        if hashlib.sha256(given).hexdigest() != entry.digest:
            raise RecoveryRefused(
                f"{entry.snapshot} is not the snapshot any more that was prepared",
                hint="undo this restore, and prepare it again",
            )
        files.require_same(entry.snapshot, manifest.parse(given, entry.snapshot))
        compare = partial(index.require_on_chain, _known_blocks(wanted, part))
        schema = index.schema(wanted.node_python, part, compare)
        database.put_in_place(entry.snapshot / INDEX, schema, entry.aside)


def _known_blocks(wanted: Step, part: IndexPart) -> Look:
    """Return what the node's own blocks say of some heights, from its first to the index's last."""
    store = OwnStore(wanted.home, wanted.cometbft)
    there = store.look(part.height).store
    last = min(part.height, there.height)
    step = max(-(-(last - there.base) // COMPARED), 1)
    return store.look(part.height, *range(last, there.base - 1, -step))


def _swap_state(home: Path, folder: Path, *, had_state: bool) -> None:
    live, new, old = home / STATE, folder / "new" / STATE, folder / "old" / STATE
    if not new.exists():
        if live.exists() and (old.exists() or not had_state):
            return  # it is in its place
        raise RecoveryRefused(
            f"the state that was prepared in {folder} is gone", hint="undo, and prepare it again"
        )
    if live.exists():
        if old.exists() or not had_state:
            raise RecoveryRefused(
                f"an app made a new state in {live} meanwhile", hint="move it away, and go on"
            )
        old.parent.mkdir(mode=0o700, exist_ok=True)
        live.rename(old)
        files.sync(home)
        files.sync(old.parent)
    _bring_spool(old, new)
    new.rename(live)
    files.sync(new.parent)
    files.sync(home)


def _bring_spool(old: Path, new: Path) -> None:
    """Copy the blocks that wait for the index: the node may not have all of them any more."""
    if not (old / SPOOL).is_dir():
        return
    (new / SPOOL).mkdir(mode=0o700, exist_ok=True)
    for path in (old / SPOOL).glob("*.json"):
        shutil.copyfile(path, new / SPOOL / path.name)


def undo(wanted: Step, *, check: bool) -> Object:
    """Put the old state and index back, whatever the restore had done."""
    journal = Journal(wanted.home)
    entry = journal.read()
    if entry is None:
        return {"changed": [], "restore": None}
    if entry.phase == "finishing":
        raise RecoveryRefused(
            f"the restore of {entry.name} was found good, and is being finished",
            hint="finish it; the old state is then in " + KEPT,
        )
    touched = entry.phase != "prepared"
    if touched:
        _require_stopped(wanted)
    database = index_database(wanted.postgres_bin) if touched and entry.index else None
    if not check:
        if touched:
            journal.write(entry.model_copy(update={"phase": "undoing"}))
            _put_state_back(wanted.home, journal.folder, had_state=entry.had_state)
            if database and database.has_schema(entry.aside):
                database.put_back(index.SCHEMA, entry.aside)
        journal.forget()
        shutil.rmtree(journal.folder)
    changed = [str(wanted.home / STATE)] if touched else [str(journal.folder)]
    return {"changed": changed, "restore": None, "undone": told(entry)}


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


def finish(wanted: Step, *, check: bool) -> Object:
    """Keep what the restore brought; raises RecoveryRefused while the node does not say it runs."""
    journal = Journal(wanted.home)
    entry = journal.read()
    if entry is None:
        return {"changed": [], "restore": None}
    if entry.phase not in {"swapped", "finishing"}:
        raise RecoveryRefused(
            f"the restore of {entry.name} is {entry.phase}, not in its place",
            hint="go on with it (swap), or undo it",
        )
    _require_well(wanted.home, entry)
    kept = wanted.home.parent / KEPT
    database = index_database(wanted.postgres_bin) if entry.index else None
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
    return {"changed": [str(kept)], "restore": None, "finished": told(entry)}


def _require_well(home: Path, entry: Entry) -> None:
    told = asyncio.run(_node_told(home))
    if told is None:
        raise RecoveryRefused(
            f"the node of {home} does not answer", hint="start it; where it can't, undo the restore"
        )
    chain_id, height = told
    if chain_id != entry.chain_id or height < entry.height:
        raise RecoveryRefused(
            f"the node's app is on chain {chain_id!r} at height {height}, "
            f"not on {entry.chain_id!r} at {entry.height} or above",
            hint="see its log; where it does not come on, undo the restore",
        )


async def _node_told(home: Path) -> tuple[str, int] | None:
    """Return chain id and app's height of the running node; None where it does not answer."""
    async with Rpc(rpc_url(home)) as rpc:
        try:
            network = (await rpc.call("status"))["node_info"]["network"]
            info = (await rpc.call("abci_info"))["response"]
        except NodeUnavailable, NodeRefused:
            return None
    return str(network), int(info.get("last_block_height") or 0)
