"""Wallets: one for each process that writes, and never the operator's."""

from dataclasses import replace

import pytest
from xian_py import Wallet

from workflow_backend.operations.preflight.inventory import Host

from .inventories import host, key, network, only, preflight, problem


@pytest.mark.parametrize("same", ["processor", "api"])
def test_wallet_with_two_writers_on_two_hosts_is_found(same: str) -> None:
    keys = {"processor": key("a"), "api": key("b"), same: key(f"{same} one").upper()}
    finding = only(preflight(host("one"), host("four", workflow_services_keys=keys)))
    assert finding.check == "wallets"
    assert f"{same} on one and {same} on four have the same wallet" in finding.what


def test_wallet_with_two_writers_on_one_host_is_found() -> None:
    findings = preflight(host(workflow_services_keys={"processor": key("a"), "api": key("a")}))
    assert "processor on one and api on one" in problem(findings, "wallets")


def test_wallet_of_a_service_that_runs_elsewhere_does_not_count() -> None:
    keys = {"processor": key("a"), "api": key("b")}
    names = ["handlers", "projector"]
    hosts = [
        host("one", workflow_services_keys=keys, workflow_services_names=[*names, "processor"]),
        host("four", workflow_services_keys=keys, workflow_services_names=[*names, "api"]),
    ]
    assert preflight(*hosts) == []


@pytest.mark.parametrize("keys", [{"api": key("b")}, {"api": key("b"), "processor": "abc"}])
def test_writer_without_a_wallet_is_found(keys: dict[str, str]) -> None:
    findings = [f for f in preflight(host(workflow_services_keys=keys)) if f.check == "wallets"]
    assert "processor" in only(findings).what


def host_with_prepared_wallets(name: str, **wallets: str) -> Host:
    """A host that has its keys from the network folder."""
    made = host(name)
    values = {name: text for name, text in made.values.items() if name != "workflow_services_keys"}
    return replace(made, values=values, names=frozenset(values), wallets=wallets)


def test_wallet_copied_under_another_name_is_the_same() -> None:
    one = host_with_prepared_wallets("one", processor=key("p"), api=key("a"))
    four = host_with_prepared_wallets("four", processor=f"{key('p').upper()}\n", api=key("b"))
    what = problem(preflight(one, four), "wallets")
    assert what == "processor on one and processor on four have the same wallet"
    assert key("p") not in what
    assert (
        preflight(one, host_with_prepared_wallets("four", processor=key("q"), api=key("b"))) == []
    )


def test_wallet_copied_into_the_inventory_is_the_same() -> None:
    keys = {"processor": key("p"), "api": key("b")}
    hosts = (
        host_with_prepared_wallets("one", processor=key("x"), api=key("p")),
        host("four", workflow_services_keys=keys),
    )
    assert "api on one and processor on four have the same wallet" in problem(
        preflight(*hosts), "wallets"
    )


def test_wallet_that_is_a_copy_of_the_operators_is_found() -> None:
    one = host_with_prepared_wallets("one", processor=key("p"), api=key("a"))
    operator = Wallet(private_key=key("a")).public_key
    networks = {"/net": network("one", operator=operator)}
    what = problem(preflight(one, networks=networks), "wallets")
    assert what == "api on one: this is the operator's wallet"


def test_wallet_file_without_a_key_is_found() -> None:
    what = problem(preflight(host_with_prepared_wallets("one", processor="abc")), "wallets")
    assert what == "the key of processor in /net/wallets is not 64 hexadecimal digits"


def test_wallets_come_from_the_network_folder_by_default() -> None:
    one = host_with_prepared_wallets("one")
    assert preflight(one) == []
    networks = {"/net": network("one", wallets={"api-one": key("api-one")})}
    what = problem(preflight(one, networks=networks), "wallets")
    assert what == "there is no wallet for processor in /net/wallets"


@pytest.mark.parametrize(
    ("public", "message"),
    [(key("same"), "a and b of net-1 are one"), (key("operator"), "a and b and the operator's")],
)
def test_wallets_of_a_network_must_differ(public: str, message: str) -> None:
    networks = {"/net": network("one", wallets={"a": public, "b": public.upper()})}
    assert message in problem(preflight(host(), networks=networks), "wallets")


def test_operators_wallet_is_none_for_a_service() -> None:
    findings = preflight(
        host(
            workflow_services_keys={"processor": key("a"), "api": key("b")},
            workflow_contract_operator_key=key("a"),
        )
    )
    assert "the operator's wallet" in problem(findings, "wallets")


def test_operators_key_in_another_variable_is_found() -> None:
    settings = {"api": {"XIAN_WALLET_PRIVATE_KEY": key("o")}}
    both = {"workflow_contract_operator_key": key("o"), "workflow_services_settings": settings}
    what = problem(preflight(host(**both)), "wallets")
    assert what == "workflow_services_settings holds the operator's key"
    assert preflight(host(ansible_connection="local", **both)) == []
    assert preflight(host(workflow_contract_operator_key=key("o"))) == []
