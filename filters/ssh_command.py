"""The way that Ansible reaches a host, as a command for programs that go the same way."""

import shlex
from collections.abc import Mapping
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
  _input: {description: Variables of the host, C(hostvars[NAME]), type: dict, required: true}
author: The authors of this toolkit
"""
EXAMPLES = """
way: "{{ hostvars[inventory_hostname] | ssh_command }}"
"""
RETURN = """
_value: {description: The command in the quoting of a shell, type: str}
"""


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


class FilterModule:
    """Tells Ansible of the filter."""

    def filters(self) -> dict[str, Any]:
        """Return filters by their names."""
        return {"ssh_command": ssh_command}
