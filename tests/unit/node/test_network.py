"""A network is made once, whole, and for its owner alone."""

import json
from pathlib import Path

import pytest

from workflow_backend_node import network
from workflow_backend_node.asking import Refused

from .conftest import network_request


def test_everything_is_for_the_owner_alone(founded: Path) -> None:
    modes = {
        path.relative_to(founded).as_posix(): oct(path.stat().st_mode & 0o777)
        for path in [founded, *founded.rglob("*")]
    }
    assert {mode for name, mode in modes.items() if name.endswith(".json")} == {"0o600"}
    assert {mode for name, mode in modes.items() if not name.endswith(".json")} == {"0o700"}
    assert len([name for name in modes if name.endswith("priv_validator_key.json")]) == 2


def test_no_private_key_is_in_what_everybody_may_know(founded: Path) -> None:
    public = (founded / "network.json").read_text() + (founded / "genesis.json").read_text()
    secrets = [json.loads((founded / "operator.json").read_text())["private_key"]]
    keys = [json.loads(path.read_text()) for path in founded.rglob("*key.json")]
    secrets += [key["priv_key"]["value"] for key in keys]
    assert len(secrets) == 5
    assert not [secret for secret in secrets if secret in public]


def test_the_genesis_names_the_hosts_with_power(founded: Path) -> None:
    genesis = json.loads((founded / "genesis.json").read_text())
    public = json.loads((founded / "network.json").read_text())
    assert genesis["chain_id"] == "unit-1"
    assert [(v["name"], v["power"]) for v in genesis["validators"]] == [
        ("alpha", "10"),
        ("beta", "10"),
    ]
    state = {entry["key"]: entry["value"] for entry in genesis["abci_genesis"]["genesis"]}
    assert state["foundation.owner"] == public["operator"]
    assert state["validators.active_validators"] == [
        public["hosts"][name]["public_key"] for name in ("alpha", "beta")
    ]


def test_a_network_that_is_there_is_left_as_it_is(founded: Path) -> None:
    before = {path: path.read_bytes() for path in founded.rglob("*.json")}
    answer = network.make(network_request(founded), check=False)
    assert answer["changed"] == []
    assert answer["network"] == json.loads((founded / "network.json").read_text())
    assert {path: path.read_bytes() for path in founded.rglob("*.json")} == before


def test_another_chain_id_is_refused_with_both_named(founded: Path) -> None:
    with pytest.raises(Refused, match=r"unit-1.*unit-2"):
        network.make(network_request(founded, chain_id="unit-2"), check=False)


def test_a_host_without_keys_is_named(founded: Path) -> None:
    with pytest.raises(Refused, match="gamma"):
        network.make(network_request(founded, hosts={"alpha": 10, "gamma": 10}), check=False)


def test_a_rehearsal_writes_nothing(tmp_path: Path) -> None:
    answer = network.make(network_request(tmp_path / "network"), check=True)
    assert answer["changed"] == [str(tmp_path / "network")]
    assert list(tmp_path.iterdir()) == []


def test_nothing_half_made_stays_behind(tmp_path: Path) -> None:
    broken = tmp_path / "contracts"
    broken.mkdir()
    (broken / "contracts_local.json").write_text('{"extension": ".s.py", "contracts": []}')
    with pytest.raises(Refused, match="validators"):
        network.make(network_request(tmp_path / "network", contracts=str(broken)), check=False)
    assert [path.name for path in tmp_path.iterdir()] == ["contracts"]
