"""Homes of nodes: each is of this network and this host, and no two sign with one key."""

from collections.abc import Iterator, Mapping
from typing import Any

from .findings import Finding
from .inventory import Host, Inventory


def check(host: Host, home: Mapping[str, Any], inventory: Inventory) -> Iterator[Finding]:
    """Find a home of another network, of another host, or made with other fees."""

    def found(what: str, hint: str) -> Finding:
        return Finding("data", (host.name,), what, hint)

    path = host.text("xian_node_home")
    network = inventory.network(host)
    if home["problem"]:
        yield found(f"{path} is not a node's home: {home['problem']}", "move it away, or repair it")
    elif home["chain_id"] and network:
        identity = network.hosts.get(host.name, {})
        if home["chain_id"] != network.chain_id:
            what = f"{path} is a home of the chain {home['chain_id']}, not {network.chain_id}"
            yield found(what, "move it away, or set the chain id back")
        elif home["genesis_sha256"] != network.genesis_sha256:
            what = f"{path} has another genesis of {home['chain_id']} than the network folder"
            yield found(what, "move it away, or restore the folder it was made from")
        elif identity and home["validator"] and home["validator"] != identity["public_key"]:
            what = f"{path} holds another validator's key than the network folder has for this host"
            yield found(what, "one of the two is another host's: a key may sign in one place only")
        elif home["fee_mode"] and home["fee_mode"] != (mode := host.text("xian_node_fee_mode")):
            yield Finding(
                "consensus",
                (host.name,),
                f"xian_node_fee_mode is {mode}, the chain in {path} was made with "
                f"{home['fee_mode']}",
                "set it back: a chain keeps its fee mode",
            )


def judge_identities(inventory: Inventory) -> Iterator[Finding]:
    """Find machines that sign with the same key."""
    owners: dict[str, list[str]] = {}
    for host in inventory.nodes:
        if host.machine and (key := host.machine["home"]["validator"]):
            owners.setdefault(key, []).append(host.name)
    for names in owners.values():
        if len(names) > 1:
            yield Finding(
                "identity",
                tuple(names),
                f"the homes on {' and '.join(names)} hold one validator's key",
                "stop all but one of them at once, then move their homes away: two sign against "
                "each other",
            )
