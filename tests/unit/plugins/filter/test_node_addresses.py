"""Where the nodes of hosts are."""

import runpy
from pathlib import Path

REPO = Path(__file__).parents[4]
node_addresses = runpy.run_path(str(REPO / "plugins/filter/ssh_command.py"))["node_addresses"]
HOSTS = {
    "one": {"ansible_connection": "local"},
    "two": {"ansible_connection": "local", "xian_node_rpc_address": "10.0.0.2:1"},
}


def test_node_addresses_are_the_rpcs_of_the_hosts() -> None:
    assert node_addresses(["two", "one"], HOSTS) == {
        "two": {"url": "http://10.0.0.2:1", "ssh": ""},
        "one": {"url": "http://127.0.0.1:26657", "ssh": ""},
    }


def test_node_addresses_have_the_public_keys_that_the_network_knows() -> None:
    found = node_addresses(HOSTS, HOSTS, {"one": {"public_key": "abc"}})
    assert {host: address["public_key"] for host, address in found.items()} == {
        "one": "abc",
        "two": "",
    }
