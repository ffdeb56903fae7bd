"""Writes the app's state to a snapshot archive and reads one back into a folder of its own.

A request's `action` is one of these:

- `export` writes the archive of a home whose node may run, and may offer it to peers;
- `import` makes the app's state from an archive, in a folder that nothing uses yet;
- `count` counts the keys of a state in such a folder that begin with a prefix;
- `stopped` confirms that a home's app does not run, or refuses;
- `index_schema` returns the statements that make the index's tables;
- `whole` confirms that the files of a home are what its programs can start with, or refuses.

The archive is upstream's (`xian-state-snapshot`), so peers and upstream's own tools can read it.
"""

import hashlib
import json
import os
import shutil
import sys
import tarfile
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lmdb
from contracting.storage.driver import Driver
from loguru import logger
from xian.services.bds import sql
from xian.services.bds.bds import BDS
from xian.services.state_sync import StateSnapshotManager, default_snapshot_output_path
from xian.utils.block import reconcile_latest_block

from workflow_backend_node import integrity
from workflow_backend_node.requests import Object, Refused, as_json, parse, run, write_private
from workflow_backend_node.toml import read_toml
from workflow_backend_node.unix_sockets import listener

ACTIONS = ("export", "import", "count", "stopped", "index_schema", "whole")
MAP_BYTES = 4 << 30
"""Address space for a copy of the state; LMDB takes more by itself where the file is larger."""


@dataclass(frozen=True)
class Export:
    """`archive` is the file to write; peers are offered the newest `offers`, none where it is 0."""

    action: str
    home: str
    archive: str
    offers: int


@dataclass(frozen=True)
class Import:
    """`storage` is the folder to make; the archive must be of this chain, height and app hash."""

    action: str
    archive: str
    storage: str
    chain_id: str
    height: int
    app_hash: str


@dataclass(frozen=True)
class Count:
    """The folder of a state, and how the keys begin that are counted."""

    action: str
    storage: str
    prefix: str


@dataclass(frozen=True)
class Home:
    """A home."""

    action: str
    home: str


def answer(given: Object, check: bool) -> Object:
    """Do what the request's action says; raises `Refused`."""
    match given.get("action"):
        case "export":
            return export(parse(Export, given, "export"), check)
        case "import":
            return import_(parse(Import, given, "import"), check)
        case "count":
            return count(parse(Count, given, "count"))
        case "stopped":
            return stopped(parse(Home, given, "stopped"))
        case "index_schema":
            return {"version": sql.SCHEMA_VERSION, "statements": index_statements()}
        case "whole":
            integrity.require(Path(parse(Home, given, "whole").home))
            return {"whole": True}
        case other:
            raise Refused(f"action is {other!r}, it must be one of {', '.join(ACTIONS)}")


def export(request: Export, check: bool) -> Object:
    """Write the archive; answer with what it holds.

    Upstream reads the running app's store several times over, so that a block in between spoils the
    export. Here it reads a copy, which LMDB makes in one transaction.
    """
    home, archive = Path(request.home), Path(request.archive)
    genesis = (home / "config" / "genesis.json").read_bytes()
    chain_id = json.loads(genesis)["chain_id"]
    if check:
        return {"changed": [str(archive)]}
    with tempfile.TemporaryDirectory(prefix=".state.", dir=archive.parent) as scratch:
        storage = Path(scratch)
        copy_state(home / "xian" / "lmdb", storage / "lmdb")
        block = _latest_block(storage)
        manager = StateSnapshotManager(storage_home=storage, chain_id=chain_id)
        try:
            made = manager.export_snapshot(output_path=archive, force=True)
        except ValueError as error:
            raise Refused(f"the app's state in {home} is damaged: {error}") from error
    record = archive.with_name(f"{archive.name}.manifest.json")
    offered = _offer(home / "xian" / "snapshots", archive, record, request.offers)
    record.unlink()
    return {
        "changed": [str(archive), *offered],
        "chain_id": chain_id,
        "genesis_sha256": hashlib.sha256(genesis).hexdigest(),
        "height": made["height"],
        "app_hash": made["app_hash"],
        "nanos": block["nanos"],
        "index_schema": sql.SCHEMA_VERSION,
        "app_version": version("xian-tech-abci"),
    }


def copy_state(source: Path, target: Path) -> None:
    """Copy the state of an app that may run, as it is at one moment; raises `Refused`."""
    if not (source / "data.mdb").is_file():
        raise Refused(f"{source} holds no state: the app has not run in this home")
    target.mkdir(mode=0o700)
    with lmdb.open(str(source), readonly=True, create=False, map_size=MAP_BYTES) as environment:
        environment.reader_check()  # an export that was killed would hold its pages for ever
        environment.copy(str(target), compact=True)


def _latest_block(storage: Path) -> dict[str, Any]:
    """The block that the copied state is of; written where upstream's export looks for it."""
    with Driver(storage_home=storage) as driver:
        block: dict[str, Any] = reconcile_latest_block(driver, storage)
    if block["height"] < 1:
        raise Refused("the app has no block yet: there is nothing to make a snapshot of")
    return block


def _offer(folder: Path, archive: Path, record: Path, keep: int) -> list[str]:
    """Lay the archive where the app offers it to peers, and take the oldest away from there."""
    if keep < 1:
        return []
    folder.mkdir(exist_ok=True)
    offer = json.loads(record.read_text(encoding="utf-8"))
    changed = []
    if offer["height"] not in [height for height, _ in _offers(folder)]:
        place = default_snapshot_output_path(
            output_dir=folder, height=offer["height"], app_hash=offer["app_hash_hex"]
        )
        beside = folder / f".{place.name}.new"
        beside.unlink(missing_ok=True)
        try:
            os.link(archive, beside)
        except OSError:  # another file system
            shutil.copyfile(archive, beside)
        beside.rename(place)
        # The app looks for the records, so this comes last; and it must never read half of one.
        write_private(
            folder / f"{place.name}.manifest.json", as_json({**offer, "archive_name": place.name})
        )
        changed.append(str(place))
    for _, path in _offers(folder)[keep:]:
        path.unlink()
        path.with_name(path.name.removesuffix(".manifest.json")).unlink(missing_ok=True)
        changed.append(str(path))
    return changed


def _offers(folder: Path) -> list[tuple[int, Path]]:
    """The heights on offer and their records, the newest first."""
    offers = []
    for path in folder.glob("*.tar.gz.manifest.json"):
        with suppress(ValueError, KeyError):
            offers.append((int(json.loads(path.read_text(encoding="utf-8"))["height"]), path))
    return sorted(offers, reverse=True)


def import_(request: Import, check: bool) -> Object:
    """Make the state in the folder; answer with its height and app hash.

    Upstream computes the state's root from what it has read and compares it with the app hash that
    the archive tells. Raises `Refused` with nothing left where that fails.
    """
    storage = Path(request.storage)
    if storage.exists():
        raise Refused(f"{storage} is there already: it would be written over")
    if check:
        return {"changed": [str(storage)]}
    storage.mkdir(mode=0o700, parents=True)
    try:
        made = _read(request, storage)
    except BaseException:
        shutil.rmtree(storage)
        raise
    return {"changed": [str(storage)], **made}


def _read(request: Import, storage: Path) -> Object:
    try:
        manager = StateSnapshotManager(storage_home=storage, chain_id=request.chain_id)
        made = manager.import_snapshot_archive(Path(request.archive))
    except (ValueError, LookupError, TypeError, EOFError, tarfile.TarError) as error:
        raise Refused(f"{request.archive} can't be read as a state: {error}") from error
    if (made["height"], made["app_hash"]) != (request.height, request.app_hash):
        raise Refused(
            f"{request.archive} is the state at height {made['height']} with the app hash "
            f"{made['app_hash']}, not at {request.height} with {request.app_hash}"
        )
    return {
        "height": made["height"],
        "app_hash": made["app_hash"],
        "keys": made["keys_imported"],
        "index_schema": sql.SCHEMA_VERSION,
    }


def index_statements() -> list[str]:
    """The statements by which upstream's app makes an index that is empty."""
    return [sql.create_meta(), *BDS._schema_statements()]  # noqa: SLF001 - it has no other name


def count(request: Count) -> Object:
    """Answer with the number of keys."""
    with Driver(storage_home=request.storage) as driver:
        return {"keys": len(driver.keys(request.prefix))}


def stopped(request: Home) -> Object:
    """Answer when the home's app does not listen; raises `Refused` while it does."""
    configuration = read_toml(Path(request.home) / "config" / "config.toml")
    socket = configuration["proxy_app"].removeprefix("unix://")
    if listener(socket) is not None:
        raise Refused(f"the app of {request.home} runs: stop the node first")
    return {"stopped": True}


if __name__ == "__main__":
    logger.remove()  # what goes wrong is printed in one line
    sys.exit(run(answer))
