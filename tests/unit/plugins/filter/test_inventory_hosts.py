"""What the inventory says of every host: values, keys and the machine."""

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.vault import VaultSecretsContext
from tests.unit.modules.loading import filters

inventory_hosts = filters("inventory_hosts")["inventory_hosts"]


class Variables(dict[str, Any]):
    """Variables of a host, of which some can't be evaluated."""

    def __getitem__(self, name: str) -> Any:
        if name == "xian_broken":
            raise ValueError(name)
        return super().__getitem__(name)


def host(given: dict[str, Any]) -> dict[str, Any]:
    variables = Variables({"group_names": ["xian_node"], **given})
    found: dict[str, Any] = inventory_hosts({"one": variables}, ["one"], "^(xian_)")["one"]
    return found


@pytest.fixture(autouse=True)
def _vault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run without a vault password."""
    monkeypatch.setattr(VaultSecretsContext, "_current", VaultSecretsContext([]))


@pytest.fixture
def network(tmp_path: Path) -> Path:
    (tmp_path / "hosts" / "one").mkdir(parents=True)
    (tmp_path / "wallets").mkdir()
    key = {"pub_key": {"value": "public"}}
    (tmp_path / "hosts" / "one" / "priv_validator_key.json").write_text(json.dumps(key))
    (tmp_path / "wallets" / "api-one.key").write_text("private\n")
    (tmp_path / "wallets" / "api-other.key").write_text("of another host\n")
    return tmp_path


def test_value_that_cannot_be_evaluated_spoils_no_other() -> None:
    found = host({"xian_broken": 1, "xian_power": 10, "other": 2})
    assert found["names"] == ["xian_broken", "xian_power"]
    assert found["values"] == {"xian_power": "10"}


def test_keys_of_the_host_alone_are_read(network: Path) -> None:
    found = host({"xian_network_directory": str(network)})
    assert found["validator"] == "public"
    assert found["wallets"] == {"api": "private"}
    assert found["closed"] == []


@pytest.mark.parametrize("content", [b"$ANSIBLE_VAULT;1.1;AES256\n00", b"\xff"])
def test_key_that_cannot_be_read_is_named(network: Path, content: bytes) -> None:
    (network / "wallets" / "api-one.key").write_bytes(content)
    found = host({"xian_network_directory": str(network)})
    assert found["closed"] == ["wallets/api-one.key"]
    assert found["wallets"] == {}


@pytest.mark.parametrize("text", ["", "[]", '{"pub_key": 1}', "[" * 100_000])
def test_validator_key_that_is_none_has_no_public_key(network: Path, text: str) -> None:
    (network / "hosts" / "one" / "priv_validator_key.json").write_text(text)
    assert host({"xian_network_directory": str(network)})["validator"] == ""


def test_machine_that_could_not_be_asked_says_why() -> None:
    answer = {"msg": "it failed", "module_stderr": "Traceback\nno Python\n"}
    found = host({"__preflight_machine": answer})
    assert found["machine"] is None
    assert found["trouble"] == "it failed no Python"


def test_machine_that_answered_has_no_trouble() -> None:
    found = host({"__preflight_machine": {"machine": {"os": "debian"}, "msg": "fine"}})
    assert (found["machine"], found["trouble"]) == ({"os": "debian"}, "")
