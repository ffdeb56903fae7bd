"""The app's state into an archive and back, without a node."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from contracting.storage.driver import Driver
from xian.services.bds import sql
from xian.services.state_sync import StateSnapshotManager
from xian.state_root import compute_driver_state_root
from xian.utils.block import stage_latest_block

from workflow_backend_node import snapshot
from workflow_backend_node.requests import Refused


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose app has a state at height 7."""
    home = tmp_path / "node" / ".cometbft"
    (home / "config").mkdir(parents=True)
    (home / "config" / "genesis.json").write_text(json.dumps({"chain_id": "unit-1"}))
    (home / "config" / "config.toml").write_text(f'proxy_app = "unix://{tmp_path}/abci.sock"\n')
    at_height(home, 7)
    return home


def at_height(home: Path, height: int) -> str:
    """Give the home's app a state at a height; return its app hash."""
    with Driver(storage_home=home / "xian") as driver:
        driver.apply_writes({"con_a.value": height, "con_a.owner": "me", "__n.me": height})
        driver.commit()
        root = compute_driver_state_root(driver)
        stage_latest_block(driver, block_hash=root, height=height, nanos=height * 10**9)
        driver.commit()
    return str(root.hex())


def export(home: Path, archive: Path, **changes: Any) -> dict[str, Any]:
    request = {"action": "export", "home": str(home), "archive": str(archive), "offers": 0}
    return snapshot.answer(request | changes, check=False)


def import_request(
    archive: Path, storage: Path, exported: dict[str, Any], **changes: Any
) -> dict[str, Any]:
    return {
        "action": "import",
        "archive": str(archive),
        "storage": str(storage),
        "chain_id": "unit-1",
        "height": exported["height"],
        "app_hash": exported["app_hash"],
        **changes,
    }


def test_snapshot_that_is_imported_equals_the_exported_state(home: Path, tmp_path: Path) -> None:
    archive, storage = tmp_path / "state.tar.gz", tmp_path / "new" / "xian"
    exported = export(home, archive)
    assert (exported["height"], exported["chain_id"], exported["nanos"]) == (7, "unit-1", 7 * 10**9)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["node", "state.tar.gz"]
    made = snapshot.answer(import_request(archive, storage, exported), check=False)
    assert (made["height"], made["app_hash"], made["keys"]) == (7, exported["app_hash"], 3)
    with Driver(storage_home=storage) as driver:
        assert driver.get("con_a.value") == 7
        assert driver.get("__n.me") == 7
        assert compute_driver_state_root(driver).hex() == exported["app_hash"]
    count = {"action": "count", "storage": str(storage), "prefix": "con_a."}
    assert snapshot.answer(count, check=False) == {"keys": 2}


def test_rehearsal_writes_nothing(home: Path, tmp_path: Path) -> None:
    archive = tmp_path / "state.tar.gz"
    request = {"action": "export", "home": str(home), "archive": str(archive), "offers": 3}
    assert snapshot.answer(request, check=True) == {"changed": [str(archive)]}
    assert not archive.exists()


def test_peers_are_offered_the_newest(home: Path, tmp_path: Path) -> None:
    archive = tmp_path / "state.tar.gz"
    for height in (7, 8, 9, 9):
        at_height(home, height)
        archive.unlink(missing_ok=True)
        export(home, archive, offers=2)
    manager = StateSnapshotManager(storage_home=home / "xian", chain_id="unit-1")
    assert [record.height for record in manager.list_snapshot_records()] == [9, 8]
    offered = manager.list_snapshot_records()[0]
    assert offered.path.read_bytes() != b""
    chunk = manager.load_snapshot_chunk_response(height=8, format_version=1, chunk_index=0).chunk
    assert chunk == manager.list_snapshot_records()[1].path.read_bytes()
    assert len(list((home / "xian" / "snapshots").glob("*.tar.gz*"))) == 4


def test_home_without_a_state_is_refused(home: Path, tmp_path: Path) -> None:
    (home / "xian" / "lmdb" / "data.mdb").unlink()
    with pytest.raises(Refused, match="holds no state"):
        export(home, tmp_path / "state.tar.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["node"]


def test_state_that_is_not_its_app_hashs_is_refused(home: Path, tmp_path: Path) -> None:
    with Driver(storage_home=home / "xian") as driver:
        driver.apply_writes({"con_a.value": 8})
        driver.commit()
    with pytest.raises(Refused, match="damaged"):
        export(home, tmp_path / "state.tar.gz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chain_id": "unit-2"}, "chain_id"),
        ({"height": 8}, "not at 8"),
        ({"app_hash": "00" * 32}, "not at 7 with 0000"),
    ],
)
def test_snapshot_of_another_state_is_refused(
    home: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    archive, storage = tmp_path / "state.tar.gz", tmp_path / "new" / "xian"
    exported = export(home, archive)
    with pytest.raises(Refused, match=message):
        snapshot.answer(import_request(archive, storage, exported, **changes), check=False)
    assert not storage.exists()


def test_damaged_archive_is_refused(home: Path, tmp_path: Path) -> None:
    archive, storage = tmp_path / "state.tar.gz", tmp_path / "new" / "xian"
    exported = export(home, archive)
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Refused, match="can't be read"):
        snapshot.answer(import_request(archive, storage, exported), check=False)
    with tarfile.open(archive, "w:gz"):
        pass
    with pytest.raises((Refused, OSError)):
        snapshot.answer(import_request(archive, storage, exported), check=False)
    assert not storage.exists()


def test_import_overwrites_nothing(home: Path, tmp_path: Path) -> None:
    archive = tmp_path / "state.tar.gz"
    exported = export(home, archive)
    with pytest.raises(Refused, match="written over"):
        snapshot.answer(import_request(archive, home / "xian", exported), check=False)
    assert snapshot.answer({"action": "stopped", "home": str(home)}, check=False)["stopped"]
    with pytest.raises(Refused, match="must be one of export, import, count"):
        snapshot.answer({"action": "destroy"}, check=False)


def test_tables_of_the_index_are_those_of_upstream() -> None:
    exported = snapshot.answer({"action": "index_schema"}, check=False)
    assert exported["version"] == sql.SCHEMA_VERSION
    made = " ".join(exported["statements"])
    names = ("bds_meta", "blocks", "transactions", "state_changes", "state", "events", "contracts")
    for name in names:
        assert f"CREATE TABLE IF NOT EXISTS {name} (" in made
