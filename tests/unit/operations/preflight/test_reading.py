"""What is read on the control machine: network folders and releases, whole, broken and missing."""

import json
from pathlib import Path

import pytest

from workflow_backend.errors import SettingError
from workflow_backend.operations.preflight import reading
from workflow_backend.operations.preflight.inventory import Release

from .made import key

KNOWN = {
    "chain_id": "net-1",
    "genesis_sha256": key("genesis"),
    "operator": key("operator"),
    "hosts": {"one": {"public_key": key("one"), "node_id": "a" * 40, "power": 10}},
}


def made_network(folder: Path, text: str = json.dumps(KNOWN)) -> Path:
    """A network folder with keys, one of them encrypted."""
    (folder / "hosts/one").mkdir(parents=True)
    (folder / "wallets").mkdir()
    for name, content in (
        ("network.json", text),
        ("operator.json", "{}"),
        ("hosts/one/node_key.json", "$ANSIBLE_VAULT;1.1;AES256"),
        ("hosts/one/genesis.json", "{}"),
        ("wallets/api-one.key", key("x")),
        ("wallets/wallets.json", json.dumps({"api-one": key("api")})),
    ):
        (folder / name).write_text(content)
        (folder / name).chmod(0o600)
    folder.chmod(0o700)
    return folder


def test_a_network_is_known_by_its_public_parts(tmp_path: Path) -> None:
    network = reading.network(made_network(tmp_path / "net"))
    assert network is not None
    assert (network.chain_id, network.operator) == ("net-1", key("operator"))
    assert network.wallets == {"api-one": key("api")}
    assert network.plain == ["operator.json", "wallets/api-one.key"]
    assert network.open == []


def test_a_network_joined_has_no_operator_and_may_have_no_wallets(tmp_path: Path) -> None:
    folder = made_network(tmp_path / "net", json.dumps(KNOWN | {"operator": None}))
    (folder / "wallets/wallets.json").unlink()
    network = reading.network(folder)
    assert network is not None
    assert (network.operator, network.wallets) == ("", {})


def test_key_files_that_others_may_read(tmp_path: Path) -> None:
    folder = made_network(tmp_path / "net")
    for name in ("operator.json", "hosts/one/node_key.json"):
        (folder / name).chmod(0o644)
    closed = reading.network(folder)
    folder.chmod(0o755)
    opened = reading.network(folder)
    assert closed is not None
    assert opened is not None
    assert (closed.open, opened.open) == ([], ["operator.json"])


def test_where_there_is_no_network(tmp_path: Path) -> None:
    assert reading.network(tmp_path) is None
    assert reading.network(tmp_path / "none") is None


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"chain_id": 5}'])
def test_a_broken_network_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingError, match="net is no network"):
        reading.network(made_network(tmp_path / "net", text))


def test_a_release_is_there_with_its_archive(tmp_path: Path) -> None:
    file = tmp_path / "latest.json"
    assert reading.release(file) == Release(missing=file)
    file.write_text('{"archive": "1.tar.gz", "id": "1", "bytes": 5, "unpacked_bytes": 20}')
    archive = tmp_path / "1.tar.gz"
    assert reading.release(file) == Release("1", 45, archive)
    archive.touch()
    assert reading.release(file) == Release("1", 45)
    file.write_text("[]")
    assert reading.release(file) == Release(missing=file)
