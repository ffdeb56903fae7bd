"""The network: hosts it knows, keys that are one host's alone, settings that nodes must share."""

from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from workflow_backend.operations.preflight.findings import Level

from .inventories import host, key, network, only, preflight, problem, warning


def test_without_a_network_nothing_can_be_deployed() -> None:
    for group in ("xian_node", "workflow_services"):
        findings = preflight(host(groups=[group, "postgres"]), networks={"/net": None})
        assert problem(findings, "network").endswith("in /net")
    assert preflight(host(groups=[]), networks={"/net": None}) == []


def test_host_that_the_network_does_not_know() -> None:
    findings = preflight(host("one"), host("four"), networks={"/net": network("one")})
    finding = only(findings)
    assert finding.hosts == ("four",)
    assert "does not know this host" in finding.what


def test_worker_on_a_host_that_the_inventory_does_not_name_is_reported() -> None:
    """Another operator's, or removed without its right on the chain."""
    findings = preflight(host("one"), networks={"/net": network("one", "gone")})
    told = warning(findings, "inventory")
    assert "has workers on gone, which this inventory does not name" in told
    finding = only(findings)
    assert "group retired" in finding.hint


def test_host_without_a_node_need_not_be_known() -> None:
    api = host("four", groups=["workflow_services"], workflow_services_names=["api"])
    assert preflight(host("one"), api, networks={"/net": network("one")}) == []


@pytest.mark.parametrize(
    "name", ["xian_network_chain_id", "workflow_contract_chain_id", "workflow_services_chain_id"]
)
def test_chain_id_other_than_the_networks_is_found(name: str) -> None:
    what = problem(preflight(host(**{name: "net-2"})), "network")
    assert what == f"{name} is net-2, the network in /net is net-1"


def test_host_that_names_no_network_is_found() -> None:
    name = "xian_network_directory"
    assert problem(preflight(host(lost=(name,))), "variables") == f"can't be evaluated: {name}"
    bare = host(groups=[])
    without = {key: value for key, value in bare.values.items() if key != name}
    names = frozenset(without)
    one = replace(bare, groups=frozenset({"xian_node", "postgres"}), values=without, names=names)
    assert problem(preflight(one), "variables") == f"not set: {name}"


@pytest.mark.parametrize("field", ["public_key", "node_id"])
def test_hosts_with_one_identity_are_found(field: str) -> None:
    hosts = {name: dict(entry) for name, entry in network("one", "four").hosts.items()}
    hosts["four"][field] = hosts["one"][field].upper()
    net = network("one", "four", hosts=hosts)
    finding = only(preflight(host("one"), host("four"), networks={"/net": net}))
    assert (finding.check, finding.level) == ("identity", Level.PROBLEM)
    assert finding.hosts == ("four", "one")


@pytest.mark.parametrize(
    ("of", "message"),
    [("validator one", ""), ("validator four", "the key of four"), ("x", "another key than")],
)
def test_key_file_that_is_anothers(of: str, message: str) -> None:
    given = b64encode(bytes.fromhex(key(of))).decode()
    findings = preflight(host("one", validator=given), host("four"))
    if message:
        what = problem(findings, "identity")
        assert what.startswith(f"hosts/one/priv_validator_key.json in /net holds {message}")
    else:
        assert findings == []


def test_chain_with_two_geneses_is_found() -> None:
    networks = {
        "/net": network("one"),
        "/net2": network("four", genesis_sha256=key("another genesis")),
    }
    findings = preflight(
        host("one"), host("four", xian_network_directory="/net2"), networks=networks
    )
    assert "different geneses of net-1" in problem(findings, "consensus")


def test_fee_modes_that_differ_would_split_the_chain() -> None:
    paid = {"xian_node_fee_mode": "paid_metered", "workflow_contract_fee_mode": "paid_metered"}
    finding = only(preflight(host("one"), host("four", **paid), host("seven")))
    assert (finding.check, finding.level) == ("consensus", Level.PROBLEM)
    assert "free_metered on one, seven; paid_metered on four" in finding.what
    assert preflight(host("one", **paid), host("four", **paid)) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("xian_node_block_policy", "periodic"),
        ("xian_node_block_interval", "3s"),
        ("xian_node_timeout_propose", "9s"),
        ("xian_node_timeout_prevote", "9s"),
        ("xian_node_timeout_precommit", "9s"),
        ("xian_node_timeout_commit", "9s"),
        ("xian_node_max_pending_nonces", 5),
    ],
)
def test_settings_of_the_rhythm_that_differ_are_unwise(name: str, value: Any) -> None:
    assert warning(preflight(host("one"), host("four", **{name: value})), "settings").startswith(
        name
    )
    both = {name: value}
    assert preflight(host("one", **both), host("four", **both)) == []


def test_profiles_that_differ_are_reported_by_what_they_make_differ() -> None:
    findings = preflight(host("one"), host("four", xian_node_profile="single-node-indexed"))
    assert {finding.what.split()[0] for finding in findings} == {
        "xian_node_block_interval",
        "xian_node_block_policy",
    }


def test_nodes_of_different_networks_may_differ() -> None:
    networks = {"/net": network("one"), "/net2": network("four", chain_id="net-2")}
    paid = {"xian_node_fee_mode": "paid_metered", "workflow_contract_fee_mode": "paid_metered"}
    place = {"xian_network_directory": "/net2", "xian_network_chain_id": "net-2"}
    other = host("four", **paid, **place)
    assert preflight(host("one"), other, networks=networks) == []


@pytest.mark.parametrize("name", ["workflow_contract_fee_mode", "xian_network_fee_mode"])
def test_fee_mode_that_the_nodes_do_not_have(name: str) -> None:
    what = problem(preflight(host(**{name: "paid_metered"})), "settings")
    assert what == f"{name} is paid_metered, the nodes have free_metered"


def test_keys_that_are_not_encrypted_are_a_warning_where_that_is_not_meant() -> None:
    networks = {"/net": network("one", plain=["operator.json"])}
    assert "1 keys in /net are not" in warning(preflight(host(), networks=networks), "vault")
    assert preflight(host(xian_network_unencrypted=True), networks=networks) == []


def test_keys_that_others_may_read_are_a_problem() -> None:
    networks = {"/net": network("one", open=["operator.json"])}
    assert "operator.json" in problem(preflight(host(), networks=networks), "vault")


def test_keys_that_no_password_opens() -> None:
    findings = preflight(host(closed=["wallets/api-one.key"]))
    assert problem(findings, "vault") == "this host's keys in /net can't be read"
