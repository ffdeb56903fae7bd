"""Preflight: everything that would stop a deployment halfway, found before anything is changed.

Ansible tells what each host's variables are and what was seen on it; here it is judged, and all of
it comes out as one report. `check` is pure: it is given what the files of the control machine say.
"""

import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from ...errors import SettingError
from ..requests import Request, parse
from . import (
    addresses,
    certificates,
    control_files,
    credentials,
    databases,
    exposure,
    hosts,
    machines,
    networks,
    plaintext_secrets,
    releases,
    variables,
    wallets,
)
from .catalogue import Catalogue
from .findings import Finding, Level, accept, merged, report
from .inventory import Host, Inventory, Network, Release
from .machines import Control


class HostRequest(Request):
    """One host: its groups, its variables, and the value of each that has one as JSON text.

    `closed` are files in the network folder that Ansible can't read or decrypt, `validator` is the
    public key in the one that holds the validator's, in base64, `wallets` the private keys of its
    services there. `machine` is the answer of the module machine_facts, `trouble` why there is
    none.
    """

    groups: list[str]
    names: list[str]
    values: dict[str, str]
    closed: list[str]
    validator: str = ""
    wallets: dict[str, str] = Field(default_factory=dict, repr=False)
    machine: Any = None
    trouble: str = ""


class PreflightRequest(Request):
    """An inventory: `play` names the hosts that the deployment is about.

    `roles` is the folder of the roles, `prefixes` are the beginnings of their variables' names,
    `variables` those that playbooks use beside them. `sources` are the inventory's files,
    `playbooks` the folder of the playbook. `folder` is where Ansible was called, and
    where a relative path starts. `accepted` names checks whose problems are known.
    `change` allows hosts that run another release than the given one.
    """

    roles: Path
    prefixes: list[str]
    variables: list[str]
    sources: list[str]
    playbooks: str
    folder: Path
    accepted: list[str]
    change: bool = False
    play: list[str]
    hosts: dict[str, HostRequest]


def preflight(
    request: dict[str, Any],
    *,
    rehearsal: bool,
    read_handlers: Callable[[Path], object],
    check_token: Callable[[str, object], None],
) -> dict[str, Any]:
    """Judge an inventory and its hosts; in a rehearsal there need not be a network yet.

    `read_handlers` raises SettingError for a handlers' file that is wrong, `check_token` for a
    token's name and entry that the API would not take.
    """
    asked = parse(PreflightRequest, request, "preflight")
    catalogue = control_files.read_catalogue(asked.roles, asked.variables)
    known = {
        name: Host.parse(name, given.model_dump(), catalogue) for name, given in asked.hosts.items()
    }
    found, networks_of = _networks(known)
    inventory = Inventory(
        known,
        frozenset(asked.play),
        networks_of,
        control_files.read_inventory_files(asked.sources, asked.playbooks),
        _releases(known, asked.folder, asked.roles.parent / "dist" / "latest.json"),
        _absent(known),
        _wrong_handlers(known, read_handlers),
        _wrong_tokens(known, check_token),
        {name: certificates.read(host) for name, host in known.items()},
    )
    control = Control(time.time(), platform.machine())
    found += check(
        inventory, catalogue, asked.prefixes, control, rehearsal=rehearsal, change=asked.change
    )
    findings = merged(accept(found, asked.accepted))
    return {
        "ok": not any(finding.level == Level.PROBLEM for finding in findings),
        "report": report(findings, len(known)),
        "findings": [finding.as_dict() for finding in findings],
    }


def check(
    inventory: Inventory,
    catalogue: Catalogue,
    prefixes: Sequence[str],
    control: Control,
    *,
    rehearsal: bool,
    change: bool = False,
) -> list[Finding]:
    """Return what is wrong with the hosts that the deployment is about."""
    found = [
        *variables.check(inventory, catalogue, prefixes, rehearsal=rehearsal),
        *hosts.check(inventory),
        *releases.check(inventory, change=change),
        *networks.check(inventory, rehearsal=rehearsal),
        *addresses.check(inventory),
        *credentials.check(inventory),
        *databases.check(inventory),
        *wallets.check(inventory),
        *exposure.check(inventory),
        *certificates.check(inventory),
        *plaintext_secrets.check(inventory, catalogue.secrets),
        *machines.check(inventory, control),
    ]
    return [f for f in found if not f.hosts or inventory.play.intersection(f.hosts)]


def _releases(known: dict[str, Host], folder: Path, usual: Path) -> dict[str, Release]:
    """Return the release of each host that is given one; `usual` is the file of the last build."""
    files = {
        host.name: folder / (host.text("release_file") or usual)
        for host in known.values()
        if host.systemd
    }
    read = {file: control_files.read_release(file) for file in set(files.values())}
    return {name: read[file] for name, file in files.items()}


def _absent(known: dict[str, Host]) -> frozenset[str]:
    """Return the files that variables name and that are not there; a relative path may be any."""
    named = {host.text(name) for host in known.values() for name in variables.FILES}
    return frozenset(path for path in named if path.startswith("/") and not Path(path).is_file())


def _wrong_handlers(known: dict[str, Host], read: Callable[[Path], object]) -> dict[str, str]:
    """Return the handlers' files that are wrong, with what is; a relative path may be any."""
    found: dict[str, str] = {}
    for host in known.values():
        path = host.text("workflow_services_handlers")
        if (
            "handlers" in host.services
            and path.startswith("/")
            and control_files.is_unencrypted(Path(path))
        ):
            try:
                read(Path(path))
            except SettingError as error:
                found[path] = str(error)
    return found


def _wrong_tokens(
    known: dict[str, Host], check: Callable[[str, object], None]
) -> dict[str, list[str]]:
    """Return what is wrong with the tokens of hosts, without what is in them."""
    found: dict[str, list[str]] = {}
    for host in known.values():
        tokens = host.values.get("workflow_services_tokens")
        for name, entry in tokens.items() if isinstance(tokens, dict) else ():
            try:
                check(name, entry)
            except SettingError as error:
                found.setdefault(host.name, []).append(str(error))
    return found


def _networks(known: dict[str, Host]) -> tuple[list[Finding], dict[str, Network | None]]:
    """Read the network folders that hosts name; one that is broken is a finding."""
    found: list[Finding] = []
    networks_of: dict[str, Network | None] = {}
    for folder in {host.folder for host in known.values() if host.folder}:
        try:
            networks_of[folder] = control_files.read_network(Path(folder))
        except SettingError as error:
            found.append(Finding("network", (), str(error), "move it away, or repair it"))
    return found, networks_of
