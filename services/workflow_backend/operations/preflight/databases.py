"""Databases: a node's index has one and services an index; on the way to one nobody reads along."""

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import parse_qs, unquote, urlsplit

from .findings import Finding
from .inventory import Host, Inventory

CHECK = "databases"


def judge(inventory: Inventory) -> Iterator[Finding]:
    """Look at the index of a host, and every DSN that it sets; no text is a finding already."""
    for host in inventory.hosts.values():
        if host.node and "xian_node_index" not in host.names - host.values.keys():
            yield from _index(host)
        for name in sorted(host.catalogue.secrets & host.values.keys()):
            dsn = host.values[name]
            if name.endswith("_dsn") and isinstance(dsn, str) and dsn.strip():
                yield from _dsn(host, name, dsn.strip())


def _index(host: Host) -> Iterator[Finding]:
    """A node that keeps an index has a database for it, and services read that index."""
    if host.flag("xian_node_index"):
        if "postgres" not in host.groups and "xian_node_index_dsn" not in host.names:
            what = "its node keeps an index, and there is no PostgreSQL for it"
            hint = "put the host into the group postgres, or set xian_node_index to false"
            yield Finding(CHECK, (host.name,), what, hint)
    elif set(host.services) - {"handlers"} and "workflow_services_node_url" not in host.names:
        what = "its services read an index, and its node keeps none"
        yield Finding(CHECK, (host.name,), what, "set xian_node_index to true")


def _dsn(host: Host, name: str, dsn: str) -> Iterator[Finding]:
    try:
        parts = urlsplit(dsn)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"postgres", "postgresql"}:
        form = "such as postgresql://USER:PASSWORD@HOST/DATABASE"
        yield Finding(CHECK, (host.name,), f"{name} is no PostgreSQL address", form)
        return
    options = {option: values[-1] for option, values in parse_qs(parts.query).items()}
    servers = parts.netloc.rpartition("@")[2] or options.get("host", "")
    if all(map(_here, servers.split(","))):
        return
    variable = f"{name.removesuffix('_dsn')}_ca"
    file = f"/etc/workflow-backend/{variable.removesuffix('_ca').rpartition('_')[2]}-ca.pem"
    authorities = f"sslrootcert={file} (the file of {variable})"
    if options.get("sslmode") != "verify-full":
        what = f"{name} leads to another machine and does not verify it"
        hint = f"add to its options sslmode=verify-full and {authorities}"
        yield Finding(CHECK, (host.name,), what, hint)
    elif "sslrootcert" not in options:
        # The client would look in the home of an account that has none.
        what = f"{name} names no authorities to verify the server by"
        yield Finding(CHECK, (host.name,), what, f"add to its options {authorities}")


def _here(server: str) -> bool:
    """Tell whether a server of a DSN, perhaps with its port, is a socket or on loopback."""
    text = unquote(server)
    if text.startswith("/"):
        return True
    name = text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]
    try:
        return name in {"", "localhost"} or ip_address(name).is_loopback
    except ValueError:
        return False
