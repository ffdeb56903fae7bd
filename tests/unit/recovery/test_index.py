"""A peer's copy of the index is verified before it takes the place of any."""

from pathlib import Path
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused, SettingError
from workflow_backend.operations.recovery.actions import act
from workflow_backend.operations.snapshots import files
from workflow_backend.operations.snapshots.postgres import DatabaseFailed

from ..snapshots import made


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    folder.mkdir()
    (folder / "index.dump").write_text("dump")
    made.state(folder / "state.tar.gz")
    index = {"height": 20, "block_hash": "ef" * 32, "schema_version": 1}
    made.seal(folder, index=index)
    (folder / "state.tar.gz").unlink()  # the state comes from nodes
    return folder


def ask(folder: Path, **more: Any) -> dict[str, Any]:
    request = {
        "snapshot": str(folder),
        "node_python": "/nowhere",
        "manifest_sha256": files.measure(folder / "manifest.json").sha256,
        "chain_id": made.CHAIN,
        "least": 12,
        "postgres_bin": "/nowhere",
        "dsn": "postgresql:///index?host=/nowhere&user=me",
    }
    return act("index", request | more, check=True)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"manifest_sha256": "00"}, "is another snapshot"),
        ({"chain_id": "other"}, "has no index of other"),
        ({"least": 21}, "has the index up to 20, the state is of 21"),
    ],
)
def test_another_copy_is_refused(copied: Path, more: dict[str, Any], told: str) -> None:
    with pytest.raises(RecoveryRefused, match=told):
        ask(copied, **more)


def test_a_damaged_copy_is_refused(copied: Path) -> None:
    (copied / "index.dump").write_text("dumb")
    with pytest.raises(RecoveryRefused, match=r"index\.dump is damaged"):
        ask(copied)


def test_a_good_one_needs_a_database(copied: Path) -> None:
    with pytest.raises(DatabaseFailed, match="the database does not answer"):
        ask(copied)


def test_a_dsn_that_is_none_is_not_shown(copied: Path) -> None:
    with pytest.raises(SettingError, match="is no PostgreSQL DSN") as refused:
        ask(copied, dsn="mysql://me:hush@db/index")
    assert "hush" not in refused.value.explain()
