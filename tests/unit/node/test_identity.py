"""Keys that others made are taken as they are, or refused in words."""

import gzip
import io
import json
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from xian.node_setup import (
    NodeConfigOptions,
    build_node_key,
    generate_validator_material,
    materialize_cometbft_home,
    render_node_configs,
)

from workflow_backend_node import archives, identity, signing_state
from workflow_backend_node.requests import Refused


def prepared(folder: Path) -> tuple[Path, str, str]:
    """A home as the platform's own programs prepare it; its node id and the validator's key."""
    node_key, validator = build_node_key(), generate_validator_material()
    home = folder / ".cometbft"
    configs = render_node_configs(options=NodeConfigOptions(moniker="elsewhere"))
    materialize_cometbft_home(
        home=home,
        config=configs["cometbft"],
        xian_config=configs["xian"],
        genesis={"chain_id": "unit-1"},
        priv_validator_key=validator["priv_validator_key"],
        node_key=node_key,
    )
    return home, node_key["node_id"].lower(), validator["validator_public_key_hex"]


def as_folder(home: Path) -> Path:
    return home


def as_tar(home: Path) -> Path:
    path = home.with_name("home.tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(home, "./")
    return path


def as_zip(home: Path) -> Path:
    path = home.with_name("home.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in home.rglob("*"):
            if file.is_file():
                archive.write(file, f"backup/.cometbft/{file.relative_to(home)}")
    return path


@pytest.mark.parametrize("form", [as_folder, as_tar, as_zip])
def test_home_is_read_whatever_its_form(form: Callable[[Path], Path], tmp_path: Path) -> None:
    home, node_id, public_key = prepared(tmp_path)
    found = identity.read(form(home))
    assert (found.node_id, found.public_key) == (node_id, public_key)
    assert found.state is None  # it has not signed yet
    assert found.genesis is not None
    assert json.loads(found.genesis) == {"chain_id": "unit-1"}


@pytest.mark.parametrize("form", [as_folder, as_tar, as_zip])
def test_identity_brings_its_signing_state(form: Callable[[Path], Path], tmp_path: Path) -> None:
    home, _, _ = prepared(tmp_path)
    state = {"height": "7", "round": 0, "step": 3, "signature": "c2ln", "signbytes": "00"}
    (home / "data" / signing_state.STATE).write_text(json.dumps(state))
    found = identity.read(form(home))
    assert found.state == state
    folder = tmp_path / "host"
    folder.mkdir()
    found.write(folder, b"{}")
    assert identity.read(folder).state == state
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("form", [as_folder, as_tar, as_zip])
def test_blocks_without_what_was_signed_are_refused(
    form: Callable[[Path], Path], tmp_path: Path
) -> None:
    home, _, _ = prepared(tmp_path)
    (home / "data" / signing_state.STATE).unlink()
    (home / "data" / "blockstore.db").mkdir()
    (home / "data" / "blockstore.db" / "LOG").write_text("")
    with pytest.raises(Refused, match="may sign twice"):
        identity.read(form(home))


@pytest.mark.parametrize("garbled", ["", "{}", "[]", '{"height": 7}'])
def test_garbled_signing_state_is_refused(tmp_path: Path, garbled: str) -> None:
    home, _, _ = prepared(tmp_path)
    (home / "data" / signing_state.STATE).write_text(garbled)
    with pytest.raises(Refused, match=r"priv_validator_state\.json"):
        identity.read(home)


def test_validators_key_alone_gets_a_node_key(tmp_path: Path) -> None:
    home, _, public_key = prepared(tmp_path)
    alone = tmp_path / "key"
    alone.mkdir()
    shutil.copy(home / "config" / identity.VALIDATOR_KEY, alone)
    found = identity.read(alone)
    assert found.public_key == public_key
    assert len(found.node_id) == 40
    assert found.genesis is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("$ANSIBLE_VAULT;1.1;AES256\n6162", "is encrypted"),
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        ("{}", "holds no Ed25519 key"),
        ('{"priv_key": {"value": "c2VjcmV0"}}', "holds no Ed25519 key"),
    ],
)
def test_broken_key_is_named_and_not_shown(text: str, reason: str, tmp_path: Path) -> None:
    home, _, _ = prepared(tmp_path)
    (home / "config" / identity.VALIDATOR_KEY).write_text(text)
    with pytest.raises(Refused, match=f"priv_validator_key.json in .*{reason}") as raised:
        identity.read(home)
    assert "c2VjcmV0" not in str(raised.value)


def test_identity_with_a_foreign_public_key_is_refused(tmp_path: Path) -> None:
    home, _, _ = prepared(tmp_path)
    path = home / "config" / identity.VALIDATOR_KEY
    other = generate_validator_material()["priv_validator_key"]["pub_key"]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pub_key": other}))
    with pytest.raises(Refused, match="the public key is not the private key's"):
        identity.read(home)


def test_identity_from_what_is_no_home_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"has no priv_validator_key\.json"):
        identity.read(tmp_path)
    with pytest.raises(Refused, match=r"there is no home in .*nowhere"):
        identity.read(tmp_path / "nowhere")
    (tmp_path / "text").write_text("no archive")
    with pytest.raises(Refused, match=r"there is no home in .*text"):
        identity.read(tmp_path / "text")


def test_archive_of_several_homes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "homes.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("one", "two"):
            archive.addfile(
                tarfile.TarInfo(f"{name}/config/{identity.VALIDATOR_KEY}"), io.BytesIO()
            )
    with pytest.raises(Refused, match=r"several homes: one/config/.*, two/config/"):
        identity.read(path)


def bomb_of_a_header(path: Path) -> str:
    info = tarfile.TarInfo("h")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 17 << 10
    with gzip.open(path, "wb", 1) as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT) + b"a" * (17 << 10) + bytes(1024))
    return "has a header that is longer"


def bomb_of_a_key(path: Path) -> str:
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        info = tarfile.TarInfo(identity.VALIDATOR_KEY)
        info.size = archives.SMALL + 1
        archive.addfile(info, io.BytesIO(bytes(info.size)))
    return "holds keys of more than"


def bomb_of_a_zip(path: Path) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(identity.VALIDATOR_KEY, bytes(archives.SMALL + 1))
    return "holds keys of more than"


def bomb_of_lzma(path: Path) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr(identity.VALIDATOR_KEY, b"{}")
    return "not packed by deflate"


def list_of_a_zip(path: Path) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(identity.VALIDATOR_KEY, b"{}")
    content = bytearray(path.read_bytes())
    content[-10:-6] = (1 << 30).to_bytes(4, "little")  # the bytes of its list of members
    path.write_bytes(content)
    return "there is no home"


def truncated(path: Path) -> str:
    bomb_of_a_key(path)
    path.write_bytes(path.read_bytes()[:900])
    return "is damaged"


def xz(path: Path) -> str:
    with tarfile.open(path, "w:xz") as archive:
        archive.addfile(tarfile.TarInfo(identity.VALIDATOR_KEY), io.BytesIO())
    return r"tar, tar\.gz or zip"


@pytest.mark.parametrize(
    "make",
    [
        *(bomb_of_a_header, bomb_of_a_key, bomb_of_a_zip, bomb_of_lzma, list_of_a_zip),
        *(truncated, xz),
    ],
)
def test_archive_that_is_no_honest_home_is_refused(
    make: Callable[[Path], str], tmp_path: Path
) -> None:
    path = tmp_path / "odd"
    reason = make(path)
    with pytest.raises(Refused, match=reason):
        identity.read(path)


def test_members_of_an_archive_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, _, _ = prepared(tmp_path)
    monkeypatch.setattr(archives, "MEMBERS", 3)
    for form in (as_tar, as_zip):
        with pytest.raises(Refused, match="more files than any home"):
            identity.read(form(home))


@pytest.mark.parametrize("told_twice", [False, True])
def test_list_of_a_zip_is_bounded_wherever_its_length_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told_twice: bool
) -> None:
    path = tmp_path / "home.zip"
    with monkeypatch.context() as patched, zipfile.ZipFile(path, "w") as archive:
        if told_twice:  # as of a zip with more members than its end can count
            patched.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 10)
        archive.writestr(identity.VALIDATOR_KEY, b"{}")
        for number in range(2000):
            archive.writestr(f"{number:04}" + "a" * 200, b"")
        archive.close()
    if told_twice:
        content = bytearray(path.read_bytes())
        assert content[-42:-38] == b"PK\x06\x07"
        content[-10:-6] = (100).to_bytes(4, "little")  # the end alone tells of a short one
        path.write_bytes(content)
    with pytest.raises(Refused, match="priv_validator_key"):  # the list is read
        identity.read(path)
    monkeypatch.setattr(archives, "_DIRECTORY", 1 << 18)
    with pytest.raises(Refused, match="more files than any home"):
        identity.read(path)


def test_folder_with_something_else_than_files_is_refused(tmp_path: Path) -> None:
    home, _, _ = prepared(tmp_path)
    key = home / "config" / identity.VALIDATOR_KEY
    key.write_text("[" * 100_000)
    with pytest.raises(Refused, match="is not JSON"):
        identity.read(home)
    key.unlink()
    os.mkfifo(key)
    with pytest.raises(Refused, match="is not a regular file"):
        identity.read(home)
