"""Addresses: what clashes on a host, what is not an address, who reaches whom."""

import pytest

from .inventories import host, machine, network, only, preflight, problem, warning


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("xian_node_metrics_address", "127.0.0.1:26657"),
        ("xian_node_metrics_address", "0.0.0.0:26657"),
        ("xian_node_metrics_address", "127.0.0.1:8000"),
        ("xian_node_cometbft_metrics_address", "[::]:9108"),
        ("xian_node_p2p_address", "0.0.0.0:26660"),
    ],
)
def test_port_of_two_programs_is_found(name: str, address: str) -> None:
    what = problem(preflight(host(**{name: address})), "ports")
    assert name in what
    assert what.endswith(f"are both on port {address.rpartition(':')[2]}")


def test_port_on_two_addresses_is_no_clash() -> None:
    assert preflight(host(xian_node_metrics_address="192.0.2.1:26657")) == []


def test_port_of_a_program_that_does_not_run_here_is_free() -> None:
    free = host(
        workflow_services_api_port=26657,
        groups=["workflow_services"],
        workflow_services_names=["api"],
    )
    assert preflight(free) == []
    assert preflight(host(workflow_services_api_port=26657)) != []


VERIFIED = "sslmode=verify-full&sslrootcert=/ca.pem"


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://app:0f3a9c5577e1d2b4@127.0.0.1:26657/x",
        "postgresql://app:0f3a9c5577e1d2b4@localhost:26657/x",
        "postgresql://app:0f3a9c5577e1d2b4@[::1]:9108/x",
    ],
)
def test_database_on_this_host_has_its_port(dsn: str) -> None:
    addresses = {"xian_node_metrics_address": "[::1]:9108"}
    findings = preflight(host(workflow_services_projection_dsn=dsn, **addresses))
    assert "workflow_services_projection_dsn" in problem(findings, "ports")


def test_port_of_one_database_behind_two_dsns_is_no_clash() -> None:
    dsn = "postgresql://{}@127.0.0.1:5432/x"
    both = host(
        workflow_services_projection_dsn=dsn.format("one:0f3a9c5577e1d2b4"),
        xian_node_index_dsn=dsn.format("two:9b8a9c5577e1d2c5"),
    )
    assert preflight(both) == []
    assert preflight(host(xian_node_index_dsn="postgresql://db.example:26657/x?" + VERIFIED)) == []


@pytest.mark.parametrize(
    "address",
    [
        *("", "26657", "localhost:26657", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000"),
        *("::1:26657", "fd00::5:26657", "[127.0.0.1]:26657", "[::1:26657", "[::1]"),
    ],
)
def test_address_that_is_none_is_found(address: str) -> None:
    what = problem(preflight(host(xian_node_rpc_address=address)), "ports")
    assert what == f"xian_node_rpc_address is {address!r}, it must be IP-ADDRESS:PORT"


def test_ipv6_address_is_in_brackets() -> None:
    addresses = {"xian_node_rpc_address": "[::1]:26657", "xian_node_p2p_address": "[::]:26656"}
    assert preflight(host(workflow_services_api_host="::1", **addresses)) == []
    finding = only(preflight(host(xian_node_rpc_address="::1:26657")))
    assert "in brackets" in finding.hint


@pytest.mark.parametrize("outside", ["fd00::5:26656", "a:1,id@evil:2", "a", "a:b", "http://a:1"])
def test_external_address_must_be_one_address(outside: str) -> None:
    what = problem(preflight(host(xian_node_p2p_external_address=outside)), "ports")
    assert what.startswith("xian_node_p2p_external_address is ")
    for good in ("[fd00::5]:26656", "node.example.org:26656"):
        assert preflight(host(xian_node_p2p_external_address=good)) == []


INWARD = {"xian_node_p2p_address": "127.0.0.1:26656"}


def test_nodes_that_can_not_find_each_other() -> None:
    finding = only(preflight(host("one", **INWARD), host("four", **INWARD)))
    assert (finding.check, finding.hosts) == ("ports", ("four", "one"))
    assert "no other node of the network gets here" in finding.what


@pytest.mark.parametrize(
    "way",
    [
        {"xian_node_p2p_address": "192.0.2.4:26656"},
        {"xian_node_p2p_external_address": "four.example:26656"},
        {"ansible_connection": "local"},
    ],
)
def test_node_that_others_reach_is_enough(way: dict[str, str]) -> None:
    here = {"ansible_connection": way.get("ansible_connection", "ssh")}
    assert preflight(host("one", **INWARD, **here), host("four", **(INWARD | way))) == []


def test_node_alone_needs_no_other() -> None:
    assert preflight(host("one", **INWARD)) == []


def test_nodes_of_others_may_be_the_way() -> None:
    joined = {"/net": network("one", "four", peers=["id@other.example:26656"])}
    assert preflight(host("one", **INWARD), host("four", **INWARD), networks=joined) == []
    given = INWARD | {"xian_node_peers": ["id@other.example:26656"]}
    assert preflight(host("one", **given), host("four", **given)) == []


def test_rpc_that_others_reach_is_reported() -> None:
    findings = preflight(host(xian_node_rpc_address="192.0.2.1:26657"))
    assert "whoever reaches it may send transactions" in warning(findings, "exposure")


def listening(address: str, port: int, unit: str = "", folder: str = "/") -> dict[str, object]:
    """What the module says of one socket."""
    return {
        "address": address,
        "port": port,
        "user": "dev",
        "program": "nginx",
        "process": 77,
        "unit": unit,
        "folder": folder,
    }


@pytest.mark.parametrize(
    ("address", "port", "unit", "taken"),
    [
        ("127.0.0.1", 26657, "nginx.service", True),
        ("127.0.0.1", 26657, "", True),
        ("0.0.0.0", 8000, "nginx.service", True),  # noqa: S104
        ("::", 8000, "nginx.service", True),
        ("192.0.2.1", 8000, "nginx.service", False),
        ("127.0.0.1", 26657, "workflow-backend-cometbft.service", False),
        ("127.0.0.1", 80, "nginx.service", False),
    ],
)
def test_port_that_another_program_has(address: str, port: int, unit: str, taken: bool) -> None:
    findings = preflight(host(seen=machine(listeners=[listening(address, port, unit)])))
    assert bool(findings) is taken
    if taken:
        assert problem(findings, "ports").startswith(f"nginx ({unit or 'process 77'}) listens on")


@pytest.mark.parametrize(
    ("folder", "taken"), [("/data/services", False), ("/data2", True), ("/", True), ("", True)]
)
def test_under_supervisor_the_folder_tells_whose_a_socket_is(folder: str, taken: bool) -> None:
    seen = machine(data="/data", listeners=[listening("127.0.0.1", 8000, folder=folder)])
    here = {"program_manager": "supervisor", "program_account": "dev"}
    assert bool(preflight(host(seen=seen, **here))) is taken


def test_listener_of_another_account_is_named_by_its_account() -> None:
    nobody = {"program": "", "process": 0, "unit": "", "folder": ""}
    seen = machine(listeners=[listening("127.0.0.1", 8000) | nobody])
    assert problem(preflight(host(seen=seen)), "ports").startswith("a program of dev listens on")


def test_listeners_are_not_judged_without_root() -> None:
    ours = listening("127.0.0.1", 8000) | {"program": "", "user": "workflow-api"}
    findings = preflight(host(seen=machine(listeners=[ours], root=False)))
    assert "not root" in problem(findings, "system")
