"""What is read on the control machine: network folders and releases, whole, broken and missing."""

import json
from pathlib import Path

import pytest

from workflow_backend.errors import SettingError
from workflow_backend.operations.preflight import control_files
from workflow_backend.operations.preflight.inventory import Release

from .inventories import key

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


def test_network_is_known_by_its_public_parts(tmp_path: Path) -> None:
    network = control_files.read_network(made_network(tmp_path / "net"))
    assert network is not None
    assert (network.chain_id, network.operator) == ("net-1", key("operator"))
    assert network.wallets == {"api-one": key("api")}
    assert network.plain == ["operator.json", "wallets/api-one.key"]
    assert network.open == []


def test_network_joined_has_no_operator_and_may_have_no_wallets(tmp_path: Path) -> None:
    folder = made_network(tmp_path / "net", json.dumps(KNOWN | {"operator": None}))
    (folder / "wallets/wallets.json").unlink()
    network = control_files.read_network(folder)
    assert network is not None
    assert (network.operator, network.wallets) == ("", {})


def test_key_files_that_others_may_read(tmp_path: Path) -> None:
    folder = made_network(tmp_path / "net")
    for name in ("operator.json", "hosts/one/node_key.json"):
        (folder / name).chmod(0o644)
    closed = control_files.read_network(folder)
    folder.chmod(0o755)
    opened = control_files.read_network(folder)
    assert closed is not None
    assert opened is not None
    assert (closed.open, opened.open) == ([], ["operator.json"])


def test_network_folder_that_is_missing_is_none(tmp_path: Path) -> None:
    assert control_files.read_network(tmp_path) is None
    assert control_files.read_network(tmp_path / "none") is None


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"chain_id": 5}'])
def test_broken_network_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingError, match="net is not a network folder"):
        control_files.read_network(made_network(tmp_path / "net", text))


def test_release_is_there_with_its_archive(tmp_path: Path) -> None:
    file = tmp_path / "latest.json"
    assert control_files.read_release(file) == Release(missing=file)
    file.write_text('{"archive": "1.tar.gz", "id": "1", "bytes": 5, "unpacked_bytes": 20}')
    archive = tmp_path / "1.tar.gz"
    assert control_files.read_release(file) == Release("1", 45, archive)
    archive.touch()
    assert control_files.read_release(file) == Release("1", 45)
    file.write_text("[]")
    assert control_files.read_release(file) == Release(missing=file)


def test_inventory_files_are_those_that_ansible_reads(tmp_path: Path) -> None:
    inventory, playbooks = tmp_path / "inventory", tmp_path / "playbooks"
    names = ["hosts.yml", "group_vars/all.yml", "group_vars/all/deep/x.yml", "host_vars/a.yml"]
    for name in [*names[:1], *names[2:]]:
        (inventory / name).parent.mkdir(parents=True, exist_ok=True)
        (inventory / name).write_text(f"name: {name}")
    (playbooks / "group_vars").mkdir(parents=True)
    (playbooks / "group_vars/all.yml").write_text("name: playbook")
    (playbooks / "deploy.yml").write_text("[]")
    (inventory / "group_vars/all/blob").write_bytes(b"\xff\xfe")
    texts = {"name: playbook", "name: group_vars/all/deep/x.yml", "name: host_vars/a.yml"}
    for source in (inventory, inventory / "hosts.yml"):
        read = control_files.read_inventory_files([str(source)], str(playbooks))
        assert set(read.values()) == texts | {"name: hosts.yml"}
    assert set(control_files.read_inventory_files(["a,b,"], str(playbooks)).values()) == {
        "name: playbook"
    }
