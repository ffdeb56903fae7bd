"""A network is made once, whole, and for its owner alone."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from workflow_backend_node import identity, network
from workflow_backend_node.requests import Refused

from .conftest import network_request


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a network's folder."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.fixture
def mine(founded: Path, tmp_path: Path) -> Path:
    """A copy of the founded network that a test may change."""
    return Path(shutil.copytree(founded, tmp_path / "network"))


def make(directory: Path, **changes: Any) -> dict[str, Any]:
    """Make or extend the network in the folder."""
    return network.make(network_request(directory, **changes), check=False)


def test_everything_is_for_the_owner_alone(founded: Path) -> None:
    modes = {
        path.relative_to(founded).as_posix(): oct(path.stat().st_mode & 0o777)
        for path in [founded, *founded.rglob("*")]
    }
    assert {mode for name, mode in modes.items() if name.endswith(".json")} == {"0o600"}
    assert {mode for name, mode in modes.items() if not name.endswith(".json")} == {"0o700"}
    assert len([name for name in modes if name.endswith("priv_validator_key.json")]) == 2


def test_network_file_holds_no_private_key(founded: Path) -> None:
    public = (founded / "network.json").read_text() + (founded / "genesis.json").read_text()
    secrets = [json.loads((founded / "operator.json").read_text())["private_key"]]
    keys = [json.loads(path.read_text()) for path in founded.rglob("*key.json")]
    secrets += [key["priv_key"]["value"] for key in keys]
    assert len(secrets) == 5
    assert not [secret for secret in secrets if secret in public]


def test_genesis_names_the_hosts_with_power(founded: Path) -> None:
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


def test_network_that_is_there_is_left_as_it_is(founded: Path) -> None:
    before = {path: path.read_bytes() for path in founded.rglob("*.json")}
    answer = network.make(network_request(founded), check=False)
    assert answer["changed"] == []
    assert answer["network"] == json.loads((founded / "network.json").read_text())
    assert {path: path.read_bytes() for path in founded.rglob("*.json")} == before


def test_network_with_another_chain_id_is_refused(founded: Path) -> None:
    with pytest.raises(Refused, match=r"unit-1.*unit-2"):
        network.make(network_request(founded, chain_id="unit-2"), check=False)


def test_host_that_came_later_gets_keys_and_no_vote(mine: Path) -> None:
    before = contents(mine)
    rehearsed = network.make(network_request(mine, hosts={"alpha": 10, "gamma": 0}), check=True)
    assert rehearsed["changed"] == [str(mine / "hosts" / "gamma")]
    assert contents(mine) == before
    answer = make(mine, hosts={"alpha": 10, "gamma": 0})
    assert answer["changed"] == rehearsed["changed"]
    after = contents(mine)
    assert {name: after[name] for name in before if name != "network.json"} == {
        name: text for name, text in before.items() if name != "network.json"
    }
    hosts = json.loads(after["network.json"])["hosts"]
    assert {name: host["power"] for name, host in hosts.items()} == {
        "alpha": 10,
        "beta": 10,
        "gamma": 0,
    }
    assert identity.read(mine / "hosts" / "gamma").public_key == hosts["gamma"]["public_key"]
    assert make(mine, hosts={"alpha": 10, "gamma": 0})["changed"] == []


def test_host_that_came_later_can_not_be_given_a_vote_here(mine: Path) -> None:
    before = contents(mine)
    with pytest.raises(Refused, match=r"gamma is not a validator.*xian_network_power to 0"):
        make(mine, hosts={"alpha": 10, "gamma": 10})
    assert contents(mine) == before


def test_keys_that_an_ended_run_left_are_taken_up(mine: Path) -> None:
    text = (mine / "network.json").read_text()
    make(mine, hosts={"gamma": 0})
    left = contents(mine / "hosts" / "gamma")
    (mine / "network.json").write_text(text)  # it is written last
    make(mine, hosts={"gamma": 0})
    assert contents(mine / "hosts" / "gamma") == left


def test_network_is_joined_by_its_genesis(founded: Path, tmp_path: Path) -> None:
    given = founded / "genesis.json"
    directory = tmp_path / "joined"
    answer = make(directory, hosts={"delta": 0}, contracts="", genesis=str(given))
    assert answer["changed"] == [str(directory)]
    assert not (directory / "operator.json").exists()
    joined = json.loads((directory / "network.json").read_text())
    assert joined["operator"] is None
    assert (
        joined["genesis_sha256"]
        == json.loads((founded / "network.json").read_text())["genesis_sha256"]
    )
    assert joined["hosts"]["delta"]["power"] == 0
    assert (directory / "hosts" / "delta" / "genesis.json").read_bytes() == given.read_bytes()
    again = make(directory, hosts={"delta": 0}, contracts="", genesis="/gone/since.json")
    assert again["changed"] == []


def test_peers_are_kept_as_they_are_given(mine: Path) -> None:
    peer = "0123456789abcdef0123456789abcdef01234567@peer.example:26656"
    before = contents(mine)
    assert make(mine, peers=[peer])["changed"] == [str(mine / "network.json")]
    assert json.loads((mine / "network.json").read_text())["peers"] == [peer]
    assert make(mine, peers=[peer])["changed"] == []
    make(mine)
    assert contents(mine) == before
    with pytest.raises(Refused, match="NODE_ID@HOST:PORT"):
        make(mine, peers=["peer.example:26656"])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"chain_id": "unit-2"}, r"genesis of unit-1, not of unit-2"),
        ({"genesis": "/nowhere/genesis.json"}, "is not a genesis: .*No such file"),
        ({"hosts": {"delta": 10}}, "delta is not a validator of the genesis"),
    ],
)
def test_network_is_not_joined_by_mistake(
    founded: Path, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    request = {"hosts": {"delta": 0}, "genesis": str(founded / "genesis.json"), **changes}
    with pytest.raises(Refused, match=reason):
        make(tmp_path / "joined", **request)
    assert list(tmp_path.iterdir()) == []


def test_network_with_another_genesis_is_refused(mine: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    make(other)
    with pytest.raises(Refused, match="another genesis of unit-1"):
        make(mine, genesis=str(other / "genesis.json"))


def test_homes_that_were_made_elsewhere_keep_keys_and_votes(founded: Path, tmp_path: Path) -> None:
    keys = founded / "hosts"
    answer = make(
        tmp_path / "joined",
        hosts={"one": 0, "two": 10, "three": 0},
        genesis=str(founded / "genesis.json"),
        homes={"one": str(keys / "alpha"), "two": str(keys / "beta")},
    )
    public = json.loads((founded / "network.json").read_text())["hosts"]
    hosts = answer["network"]["hosts"]
    assert (hosts["one"], hosts["two"]) == (public["alpha"], public["beta"])
    assert hosts["three"]["power"] == 0
    for theirs, ours in (("alpha", "one"), ("beta", "two")):
        assert contents(tmp_path / "joined" / "hosts" / ours) == contents(keys / theirs)


def test_validators_key_of_ones_own_founds_a_network(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.mkdir()
    mine = identity.generate()
    (key / identity.VALIDATOR_KEY).write_text(json.dumps(mine.validator_key))
    make(tmp_path / "network", hosts={"alpha": 10}, homes={"alpha": str(key)})
    genesis = json.loads((tmp_path / "network" / "genesis.json").read_text())
    (validator,) = genesis["validators"]
    assert validator["pub_key"] == mine.validator_key["pub_key"]


def test_home_of_another_network_is_refused(founded: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="belongs to network unit-1 with another genesis"):
        make(tmp_path / "network", homes={"alpha": str(founded / "hosts" / "alpha")})
    assert list(tmp_path.iterdir()) == []


def test_key_is_for_one_host(founded: Path, tmp_path: Path) -> None:
    home = str(founded / "hosts" / "alpha")
    genesis = str(founded / "genesis.json")
    with pytest.raises(Refused, match="alpha and beta have the same public_key"):
        make(tmp_path / "network", genesis=genesis, homes={"alpha": home, "beta": home})
    assert list(tmp_path.iterdir()) == []


def test_home_that_comes_too_late_is_refused(mine: Path, founded: Path) -> None:
    home = str(founded / "hosts" / "beta")
    with pytest.raises(Refused, match="alpha has another key in"):
        make(mine, homes={"alpha": home})
    assert make(mine, homes={"beta": home})["changed"] == []
    assert make(mine, homes={"alpha": "/gone/since"})["changed"] == []


def test_home_without_a_host_is_refused(mine: Path) -> None:
    with pytest.raises(Refused, match="xian_network_home of omega: no such host"):
        make(mine, homes={"omega": "/home"})


def test_rehearsal_writes_nothing(tmp_path: Path) -> None:
    answer = network.make(network_request(tmp_path / "network"), check=True)
    assert answer["changed"] == [str(tmp_path / "network")]
    assert list(tmp_path.iterdir()) == []


def test_network_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    broken = tmp_path / "contracts"
    broken.mkdir()
    (broken / "contracts_local.json").write_text('{"extension": ".s.py", "contracts": []}')
    with pytest.raises(Refused, match="validators"):
        network.make(network_request(tmp_path / "network", contracts=str(broken)), check=False)
    assert [path.name for path in tmp_path.iterdir()] == ["contracts"]
