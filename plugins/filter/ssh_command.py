"""How to reach a host and its node from the control machine, the way that Ansible does."""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible import constants, context
from ansible.plugins.loader import connection_loader

DOCUMENTATION = """
name: ssh_command
short_description: The ssh command that logs in to a host as Ansible does
description:
  - Its port, account, key and further arguments are those that Ansible uses, wherever they are
    set, in variables, the configuration, the environment or on the command line. The host is the
    last word.
  - A host that Ansible is on already, with the connection C(local), has none, an empty text.
  - A login by a password is not in it; no command holds a password.
options:
  _input: {description: "Variables of the host, C(hostvars[NAME])", type: dict, required: true}
author: The authors of this toolkit
"""
EXAMPLES = """
way: "{{ hostvars[inventory_hostname] | xian.workflow_backend.ssh_command }}"
nodes: "{{ groups.xian_node | xian.workflow_backend.node_addresses(hostvars) }}"
"""
RETURN = """
_value: {description: The command in the quoting of a shell, type: str}
"""

RPC_ADDRESS = "127.0.0.1:26657"
"""Where a node answers whose host sets no `xian_node_rpc_address`."""


def ssh_command(host: Mapping[str, Any]) -> str:
    """Return the command; see above."""
    said = context.CLIARGS
    if (host.get("ansible_connection") or said.get("connection")) == "local":
        return ""
    connection_loader.get("ssh", class_only=True)  # makes its options known
    options = constants.config.get_plugin_options(
        "connection", "ssh", variables=host, keys={"remote_user": said.get("remote_user")}
    )
    words = [options["ssh_executable"], *shlex.split(options["ssh_args"] or "")]
    if options["host_key_checking"] is False:
        words += ["-o", "StrictHostKeyChecking=no"]
    if options["port"] is not None:
        words += ["-o", f"Port={options['port']}"]
    if options["private_key_file"]:
        words += ["-o", f'IdentityFile="{Path(options["private_key_file"]).expanduser()}"']
    if options["remote_user"]:
        words += ["-o", f'User="{options["remote_user"]}"']
    words += ["-o", f"ConnectTimeout={options['timeout']}"]
    for further in ("ssh_common_args", "ssh_extra_args"):
        words += shlex.split(options[further] or "")
    return shlex.join([*words, options["host"] or host["inventory_hostname"]])


def node_addresses(
    names: Iterable[str],
    hosts: Mapping[str, Mapping[str, Any]],
    network: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, dict[str, str]]:
    """Return the RPC's URL on each host, and the ssh command that leads there.

    `hosts` is hostvars. With `network`, the hosts of network.json, each has its public key too.
    """
    addresses = {}
    for name in names:
        rpc = hosts[name].get("xian_node_rpc_address") or RPC_ADDRESS
        addresses[name] = {"url": f"http://{rpc}", "ssh": ssh_command(hosts[name])}
        if network is not None:
            addresses[name]["public_key"] = network.get(name, {}).get("public_key", "")
    return addresses


class FilterModule:
    """Tells Ansible of the filters."""

    def filters(self) -> dict[str, Any]:
        """Return filters by their names."""
        return {"ssh_command": ssh_command, "node_addresses": node_addresses}
