"""Who may reach what: an API that others reach asks for tokens and speaks TLS."""

from collections.abc import Iterator
from ipaddress import ip_address

from .findings import Finding
from .inventory import Host, Inventory

CHECK = "exposure"


def check(inventory: Inventory) -> Iterator[Finding]:
    """Look at the API of each host that has one."""
    for host in inventory.hosts.values():
        if "api" in host.services:
            yield from _open(host)
            yield from _certificate(host)
            yield from _operator(host)
            for what in inventory.tokens.get(host.name, ()):
                hint = "workflow-backend tokens add makes them: docs/api.md"
                yield Finding("tokens", (host.name,), f"workflow_services_tokens: {what}", hint)


def _open(host: Host) -> Iterator[Finding]:
    address = host.text("workflow_services_api_host")
    try:
        if ip_address(address).is_loopback:
            return
    except ValueError:
        return  # that it is not an address is a finding already
    tokens = ("workflow_services_tokens", "workflow_services_operator_token")
    unread = host.names.intersection(tokens) - host.values.keys()
    if not host.systemd and not unread and not any(map(host.get, tokens)):
        yield Finding(
            CHECK,
            (host.name,),
            f"the API listens on {address} and asks nobody for a token",
            "set workflow_services_tokens, or leave the API on 127.0.0.1",
        )
    if not host.text("workflow_services_api_certificate"):
        yield Finding(
            CHECK,
            (host.name,),
            f"the API listens on {address} without TLS: items and tokens can be read on the way",
            "set workflow_services_api_certificate and workflow_services_api_key, or leave the API "
            "on 127.0.0.1 behind a proxy that speaks TLS",
        )


def _certificate(host: Host) -> Iterator[Finding]:
    certificate = host.text("workflow_services_api_certificate")
    unread = "workflow_services_api_key" in host.names - host.values.keys()
    if certificate and not unread and not host.text("workflow_services_api_key"):
        yield Finding(
            CHECK,
            (host.name,),
            "the API has a certificate and no key",
            "set workflow_services_api_key to its private key, from a vault",
        )


def _operator(host: Host) -> Iterator[Finding]:
    """Smoke and status show an API with tokens one of their own, which it knows by itself.

    On a host with systemd the API always asks for one; who leaves the variable out has one made.
    """
    name = "workflow_services_operator_token"
    known = name in host.values or (not host.systemd and name not in host.names)
    asks = host.systemd or host.get("workflow_services_tokens")
    if asks and known and not host.text(name):
        yield Finding(
            CHECK,
            (host.name,),
            "the API asks for tokens, and health, smoke and status have none",
            f"remove {name}: then one is made beside the network's keys"
            if host.systemd
            else f"set {name}",
        )
