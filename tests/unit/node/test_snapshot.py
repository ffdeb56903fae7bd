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
from workflow_backend_node.asking import Refused


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


def wanted(archive: Path, storage: Path, told: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "action": "import",
        "archive": str(archive),
        "storage": str(storage),
        "chain_id": "unit-1",
        "height": told["height"],
        "app_hash": told["app_hash"],
        **changes,
    }


def test_what_is_read_back_is_what_was_there(home: Path, tmp_path: Path) -> None:
    archive, storage = tmp_path / "state.tar.gz", tmp_path / "new" / "xian"
    told = export(home, archive)
    assert (told["height"], told["chain_id"], told["nanos"]) == (7, "unit-1", 7 * 10**9)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["node", "state.tar.gz"]
    made = snapshot.answer(wanted(archive, storage, told), check=False)
    assert (made["height"], made["app_hash"], made["keys"]) == (7, told["app_hash"], 3)
    with Driver(storage_home=storage) as driver:
        assert driver.get("con_a.value") == 7
        assert driver.get("__n.me") == 7
        assert compute_driver_state_root(driver).hex() == told["app_hash"]
    count = {"action": "count", "storage": str(storage), "prefix": "con_a."}
    assert snapshot.answer(count, check=False) == {"keys": 2}


def test_a_rehearsal_writes_nothing(home: Path, tmp_path: Path) -> None:
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


def test_a_home_without_a_state_is_refused(home: Path, tmp_path: Path) -> None:
    (home / "xian" / "lmdb" / "data.mdb").unlink()
    with pytest.raises(Refused, match="holds no state"):
        export(home, tmp_path / "state.tar.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["node"]


def test_a_state_that_is_not_its_app_hashs_is_refused(home: Path, tmp_path: Path) -> None:
    with Driver(storage_home=home / "xian") as driver:
        driver.apply_writes({"con_a.value": 8})
        driver.commit()
    with pytest.raises(Refused, match="damaged"):
        export(home, tmp_path / "state.tar.gz")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"chain_id": "unit-2"}, "chain_id"),
        ({"height": 8}, "not at 8"),
        ({"app_hash": "00" * 32}, "not at 7 with 0000"),
    ],
)
def test_another_state_is_refused(
    home: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    archive, storage = tmp_path / "state.tar.gz", tmp_path / "new" / "xian"
    told = export(home, archive)
    with pytest.raises(Refused, match=said):
        snapshot.answer(wanted(archive, storage, told, **changes), check=False)
    assert not storage.exists()


def test_a_damaged_archive_is_refused(home: Path, tmp_path: Path) -> None:
    archive, storage = tmp_path / "state.tar.gz", tmp_path / "new" / "xian"
    told = export(home, archive)
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Refused, match="can't be read"):
        snapshot.answer(wanted(archive, storage, told), check=False)
    with tarfile.open(archive, "w:gz"):
        pass
    with pytest.raises((Refused, OSError)):
        snapshot.answer(wanted(archive, storage, told), check=False)
    assert not storage.exists()


def test_nothing_is_written_over(home: Path, tmp_path: Path) -> None:
    archive = tmp_path / "state.tar.gz"
    told = export(home, archive)
    with pytest.raises(Refused, match="written over"):
        snapshot.answer(wanted(archive, home / "xian", told), check=False)
    assert snapshot.answer({"action": "stopped", "home": str(home)}, check=False)["stopped"]
    with pytest.raises(Refused, match="wanted one of export, import, count"):
        snapshot.answer({"action": "destroy"}, check=False)


def test_the_indexs_tables_are_told_as_upstream_makes_them() -> None:
    told = snapshot.answer({"action": "index_schema"}, check=False)
    assert told["version"] == sql.SCHEMA_VERSION
    made = " ".join(told["statements"])
    names = ("bds_meta", "blocks", "transactions", "state_changes", "state", "events", "contracts")
    for name in names:
        assert f"CREATE TABLE IF NOT EXISTS {name} (" in made
