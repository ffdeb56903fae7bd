"""A prepared home is verified before any host is touched."""

import hashlib
import io
import json
import shutil
import tarfile
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.network.report import run_action
from workflow_backend.operations.recovery.actions import ACTIONS

KEY = "ab" * 32
GENESIS = json.dumps({"chain_id": "unit-1"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    for name in ("config", "data/blockstore.db", "xian/lmdb"):
        (made / name).mkdir(parents=True)
    key = {"pub_key": {"value": b64encode(bytes.fromhex(KEY)).decode()}}
    (made / "config" / "genesis.json").write_text(GENESIS)
    (made / "config" / "node_key.json").write_text("{}")
    (made / "config" / "priv_validator_key.json").write_text(json.dumps(key))
    (made / "data" / "priv_validator_state.json").write_text('{"height": "7", "round": 1}')
    (made / "data" / "blockstore.db" / "1.ldb").write_text("blocks")
    (made / "xian" / "lmdb" / "data.mdb").write_text("state")
    return made


def packed(folder: Path, top: str = "") -> Path:
    archive = folder.with_suffix(".tar.gz")
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, top or ".")
    return archive


def ask(path: Path, **more: Any) -> dict[str, Any]:
    request = {
        "path": str(path),
        "pack": str(path.parent / "packed" / "a.tar.gz"),
        "host": "a",
        "chain_id": "unit-1",
        "genesis_sha256": hashlib.sha256(GENESIS.encode()).hexdigest(),
        "public_key": KEY,
    }
    return run_action(ACTIONS, "home-archive", request | more, check=False)


@pytest.mark.parametrize("top", ["", ".cometbft"])
def test_archive_of_a_whole_home_is_accepted(folder: Path, top: str) -> None:
    archive = packed(folder, top)
    answer = ask(archive)
    assert answer["top"] == top
    assert answer["blocks"] is True
    assert answer["signed"] == {"height": 7, "round": 1}
    assert answer["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert ask(archive, sha256=answer["sha256"])["packed"] is False


def test_folder_is_packed_for_its_owner_alone(folder: Path) -> None:
    answer = ask(folder)
    assert answer["packed"] is True
    assert Path(answer["archive"]).stat().st_mode & 0o777 == 0o600
    assert ask(Path(answer["archive"]))["signed"] == {"height": 7, "round": 1}


def test_archive_needs_neither_blocks_nor_signatures(folder: Path) -> None:
    for name in ("data", "xian"):
        shutil.rmtree(folder / name)
    answer = ask(packed(folder))
    assert (answer["blocks"], answer["signed"]) == (False, None)


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("config/priv_validator_key.json", "no home of a node"),
        ("config/genesis.json", "lacks config/genesis.json"),
        ("config/node_key.json", "lacks config/node_key.json"),
        ("xian/lmdb/data.mdb", "lacks xian/lmdb/data.mdb"),
        ("data/blockstore.db", "lacks data/blockstore.db"),
    ],
)
def test_archive_of_a_part_is_refused(folder: Path, lost: str, message: str) -> None:
    path = folder / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(RecoveryRefused, match=message):
        ask(packed(folder))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"chain_id": "other"}, "is a home of chain 'unit-1', not of 'other'"),
        ({"genesis_sha256": "00"}, "another genesis of unit-1"),
        ({"public_key": "cd" * 32}, "it is another host's home"),
        ({"sha256": "0" * 64}, "has the SHA-256 sum"),
        ({"most_bytes": 10}, "more than 10 bytes"),
    ],
)
def test_archive_of_another_host_is_refused(
    folder: Path, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecoveryRefused, match=message):
        ask(packed(folder), **more)


@pytest.mark.parametrize("name", ["../out", "/out", "link"])
def test_archive_that_leads_out_is_refused(folder: Path, name: str) -> None:
    archive = packed(folder)
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, ".")
        member = tarfile.TarInfo(name)
        if name == "link":
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member, io.BytesIO())
    with pytest.raises(RecoveryRefused, match=r"leads out of its folder|is a link"):
        ask(archive)


def test_archive_truncated_or_missing_is_refused(folder: Path) -> None:
    archive = packed(folder)
    archive.write_bytes(archive.read_bytes()[:-20])
    with pytest.raises(RecoveryRefused, match="truncated or damaged"):
        ask(archive)
    with pytest.raises(RecoveryRefused, match="there is no"):
        ask(folder / "nowhere.tar.gz")


def test_archive_with_an_encrypted_key_is_named(folder: Path) -> None:
    (folder / "config" / "priv_validator_key.json").write_text("$ANSIBLE_VAULT;1.1;AES256\n00")
    with pytest.raises(RecoveryRefused, match="is not a JSON object") as refused:
        ask(packed(folder))
    assert "ansible-vault" in refused.value.explain()
