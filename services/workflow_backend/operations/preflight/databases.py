"""Databases: a node's index has one and services an index; on the way to one nobody reads along."""

from collections.abc import Iterator

from ..dsn import Dsn
from .findings import Finding
from .inventory import Host, Inventory

CHECK = "databases"


def check(inventory: Inventory) -> Iterator[Finding]:
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


def _dsn(host: Host, name: str, text: str) -> Iterator[Finding]:
    dsn = Dsn.parse(text)
    if dsn is None or not dsn.is_address:
        form = "such as postgresql://USER:PASSWORD@HOST/DATABASE"
        yield Finding(CHECK, (host.name,), f"{name} is not a PostgreSQL address", form)
        return
    if dsn.is_local:
        return
    variable = f"{name.removesuffix('_dsn')}_ca"
    file = f"/etc/workflow-backend/{variable.removesuffix('_ca').rpartition('_')[2]}-ca.pem"
    authorities = f"sslrootcert={file} (the file of {variable})"
    if dsn.options.get("sslmode") != "verify-full":
        what = f"{name} leads to another machine and does not verify it"
        hint = f"add to its options sslmode=verify-full and {authorities}"
        yield Finding(CHECK, (host.name,), what, hint)
    elif "sslrootcert" not in dsn.options:
        # The client would look in the home of an account that has none.
        what = f"{name} names no authorities to verify the server by"
        yield Finding(CHECK, (host.name,), what, f"add to its options {authorities}")
