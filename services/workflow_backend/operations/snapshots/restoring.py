"""A snapshot in the place of a node's state and, where that is better, of its index.

It goes in steps, and each can be asked for again after it was cut short:

    prepare   verifies all, makes the new state beside the old one; the node may run
    swap      old state and index aside, new ones in their place; the node is stopped
              the node is started here, and has to get well
    finish    the old index is dropped, the old state kept as xian.before-restore
    undo      in place of swap or finish: the old state and index come back; the node is stopped

What lies in the home's `data` is never touched: the blocks, and what the validator has signed. This
module has the first step, `swapping` the others.
"""

import hashlib
import os
import shutil
import tomllib
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ...errors import RecoveryRefused
from ..asking import Request
from . import files, index, node_programs
from .blocks import OwnStore, require_on_chain
from .holding import held
from .journal import Entry, Journal
from .manifest import IndexPart
from .peers import ask_peers, require_agreement
from .postgres import Database
from .verifying import Verified, Verify, verified

STATE = "xian"
"""The folder of a home that holds the app's state."""

type Object = dict[str, Any]


class Restore(Verify):
    """A snapshot for a home, which belongs to the account that asks.

    The index is restored where the one in use is not this chain's or has less, or `always`, or
    `never`.
    """

    home: Path
    node_python: Path
    cometbft: Path
    index: Literal["auto", "always", "never"] = "auto"


class Step(Request):
    """A home with a restore under way."""

    home: Path
    node_python: Path
    cometbft: Path
    postgres_bin: Path | None = None


def status(wanted: Step, *, check: bool) -> Object:
    """Return the restore that is under way, if any."""
    del check
    entry = Journal(wanted.home).read()
    return {"restore": told(entry)}


def prepare(wanted: Restore, *, check: bool) -> Object:
    """Verify the snapshot and make its state beside the old one.

    Asked again for the snapshot that is in its place already, it says so and does nothing. Raises
    RecoveryRefused with nothing changed.
    """
    with held(wanted.snapshot):
        return _prepare(wanted, check=check)


def _prepare(wanted: Restore, *, check: bool) -> Object:
    journal = Journal(wanted.home)
    under_way = journal.read()
    found = verified(wanted)
    if under_way is not None and under_way.phase != "prepared":
        _require_same(under_way, found)
        return {"changed": [], "restore": told(under_way), "peers": []}
    manifest = found.manifest
    _require_home(wanted)
    store = OwnStore(wanted.home, wanted.cometbft)
    look = store.look(manifest.height)
    require_on_chain(manifest.chain_id, manifest.height, manifest.app_hash, look)
    peers = ask_peers(wanted.peers, manifest.chain_id, manifest.height)
    require_agreement(manifest.height, manifest.app_hash, peers, wanted.agree)
    part = _index_wanted(wanted, found, store)
    entry = Entry(
        phase="prepared",
        name=manifest.name,
        digest=found.digest,
        snapshot=wanted.snapshot.absolute(),
        chain_id=manifest.chain_id,
        height=manifest.height,
        app_hash=manifest.app_hash,
        had_state=(wanted.home / STATE).exists(),
        index=part,
        aside=f"before_restore_{found.digest[:12]}",
        begun_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    if not check:
        _make_state(wanted, found, journal, part)
        journal.write(entry)
    return {
        "changed": [str(journal.folder)],
        "restore": told(entry),
        "trusted_for": found.trusted_for,
        "peers": [asdict(peer) for peer in peers],
        "blocks": asdict(look.store),
    }


def told(entry: Entry | None) -> Object | None:
    """Return what an answer says of a restore."""
    return entry.model_dump(mode="json") if entry else None


def _require_same(under_way: Entry, found: Verified) -> None:
    if under_way.digest != found.digest or under_way.phase == "undoing":
        what = "undone" if under_way.phase == "undoing" else "brought to its end"
        raise RecoveryRefused(
            f"the restore of {under_way.name} was begun at {under_way.begun_at} and not {what}",
            hint="finish it (the same snapshot again), or undo it, before another one",
        )


def _require_home(wanted: Restore) -> None:
    path = wanted.home / "config" / "genesis.json"
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise RecoveryRefused(
            f"{wanted.home} is no node's home: {path.name} can't be read", hint="deploy it first"
        ) from error
    if found != wanted.genesis_sha256:
        raise RecoveryRefused(
            f"{path} is another genesis ({found}) than wanted ({wanted.genesis_sha256})",
            hint="the home is another network's: nothing is restored into it",
        )
    # The node starts with each of these, whatever the snapshot brings.
    node_programs.ask(wanted.node_python, {"action": "whole", "home": str(wanted.home)})


def _index_wanted(wanted: Restore, found: Verified, store: OwnStore) -> IndexPart | None:
    """Return the index to be restored, None where the one in use stays.

    One that has more is not given up for one that has less: the node may not have those blocks.
    """
    part = found.manifest.index
    if wanted.index == "never" or not _has_index(wanted.home):
        return None
    if part is None:
        if wanted.index == "always":
            raise RecoveryRefused(
                "the snapshot has no index", hint="use another one, or leave the index (auto)"
            )
        return None
    now = index_database(wanted.postgres_bin).ask(index.newest)
    heights = {part.height} | ({now.height} if now else set())
    hashes = store.look(found.manifest.height, *heights).block_hashes
    if hashes.get(part.height, part.block_hash) != part.block_hash:
        raise RecoveryRefused(
            f"the snapshot's index has the block {part.block_hash} at height {part.height}, "
            f"the chain {hashes[part.height]}",
            hint="use another snapshot, or leave the index (index: never)",
        )
    ours = now is not None and hashes.get(now.height) == now.block_hash
    if wanted.index == "auto" and now is not None and ours and now.height >= part.height:
        return None
    return part


def _has_index(home: Path) -> bool:
    path = home / "config" / "xian.toml"
    return bool(tomllib.loads(path.read_text(encoding="utf-8")).get("bds_enabled"))


def index_database(programs: Path | None) -> Database:
    """Return the index's database; raises RecoveryRefused where its programs were not given."""
    if programs is None:
        raise RecoveryRefused(
            "nobody said where PostgreSQL's programs are", hint="give postgres_bin"
        )
    return index.database(programs, os.environ)


def _make_state(wanted: Restore, found: Verified, journal: Journal, part: IndexPart | None) -> None:
    """Import the state; upstream's import holds its root against the app hash once more."""
    if journal.folder.exists():
        _require_no_old_state(journal)
        shutil.rmtree(journal.folder)
    journal.folder.mkdir(mode=0o700)
    try:
        _import(wanted, found, journal, part)
    except BaseException:
        shutil.rmtree(journal.folder)
        raise


def _import(wanted: Restore, found: Verified, journal: Journal, part: IndexPart | None) -> None:
    manifest = found.manifest
    made = node_programs.ask(
        wanted.node_python,
        {
            "action": "import",
            "archive": str(found.state),
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
            hint="restore with the release that made it, or without the index (index: never)",
        )


def _require_no_old_state(journal: Journal) -> None:
    old = journal.folder / "old" / STATE
    if old.exists():
        raise RecoveryRefused(
            f"{old} holds an old state, and nothing says why",
            hint="find out whether it is still needed, and move it away",
        )
