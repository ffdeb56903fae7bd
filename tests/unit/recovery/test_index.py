"""A peer's copy of the index is verified before it takes the place of any."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused, SettingError
from workflow_backend.operations.network.report import run_action
from workflow_backend.operations.recovery import index
from workflow_backend.operations.recovery.actions import ACTIONS
from workflow_backend.operations.snapshots import files, node_programs
from workflow_backend.operations.snapshots import index as snapshot_index
from workflow_backend.operations.snapshots.index_blocks import KnownBlock
from workflow_backend.operations.snapshots.postgres import DatabaseFailed, Schema

from ..operations.snapshots import samples


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    folder.mkdir()
    (folder / "index.dump").write_text("dump")
    samples.state(folder / "state.tar.gz")
    index = {"height": 20, "block_hash": "ef" * 32, "schema_version": 1}
    samples.seal(folder, index=index)
    (folder / "state.tar.gz").unlink()  # the state comes from nodes
    return folder


def ask(folder: Path, *, check: bool = True, **more: Any) -> dict[str, Any]:
    blocks = folder.parent / "blocks.json"
    blocks.write_text(json.dumps({"blocks": [[20, ["ef" * 32, 0, ""]]]}))
    request = {
        "snapshot": str(folder),
        "blocks": str(blocks),
        "node_python": "/nowhere",
        "manifest_sha256": files.measure(folder / "manifest.json").sha256,
        "chain_id": samples.CHAIN,
        "least": 12,
        "postgres_bin": "/nowhere",
        "dsn": "postgresql:///index?host=/nowhere&user=me",
    }
    return run_action(ACTIONS, "index", request | more, check=check)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"manifest_sha256": "00"}, "is another snapshot"),
        ({"chain_id": "other"}, "has no index of other"),
        ({"least": 21}, "has the index up to 20, the state is of 21"),
    ],
)
def test_index_of_another_copy_is_refused(copied: Path, more: dict[str, Any], message: str) -> None:
    with pytest.raises(RecoveryRefused, match=message):
        ask(copied, **more)


def test_index_of_a_damaged_copy_is_refused(copied: Path) -> None:
    (copied / "index.dump").write_text("dumb")
    with pytest.raises(RecoveryRefused, match=r"index\.dump is damaged"):
        ask(copied)


def test_index_needs_a_database(copied: Path) -> None:
    with pytest.raises(DatabaseFailed, match="the database does not answer"):
        ask(copied)


def test_index_shows_no_invalid_dsn(copied: Path) -> None:
    with pytest.raises(SettingError, match="is not a PostgreSQL DSN") as refused:
        ask(copied, dsn="mysql://me:hush@db/index")
    assert "hush" not in refused.value.explain()


def test_index_of_a_peer_is_compared_before_it_takes_a_place(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its newest block is what its own manifest says: that shows nothing of the others."""
    compared: list[object] = []

    async def refuse(known: object, *_: object) -> None:
        compared.append(known)
        raise RecoveryRefused("it has other blocks")

    class Database:
        def ask(self, _: object) -> None:
            return None

        def run(self, *_: str) -> None:
            pass

        def load_and_swap(self, _: Path, schema: Schema, __: str) -> None:
            assert schema.compare is not None
            asyncio.run(schema.compare(None))

    monkeypatch.setattr(index, "require_same_blocks", refuse)
    monkeypatch.setattr(snapshot_index, "named", lambda *_: Database())
    made = {"version": 1, "statements": []}
    monkeypatch.setattr(node_programs, "ask", lambda *_: made)
    with pytest.raises(RecoveryRefused, match="it has other blocks") as refused:
        ask(copied, check=False)
    assert "stop that one, then run this again" in refused.value.explain()
    assert compared == [{20: KnownBlock("ef" * 32, 0, "")}]
