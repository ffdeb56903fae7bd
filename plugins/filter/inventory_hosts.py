"""What the inventory says of every host, for checks that judge all hosts together."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, VaultSecretsContext, is_encrypted
from ansible.plugins.filter.core import to_json

DOCUMENTATION = """
name: inventory_hosts
short_description: Variables, keys and machine of every host of the inventory
description:
  - Every value is a JSON text of its own. One that can't be evaluated is left out and spoils none
    of the others; its name stays.
  - Keys of the host in its C(xian_network_directory) are read with the vault password of the run.
    Those that can't be read are named in C(closed).
options:
  _input: {description: C(hostvars), type: dict, required: true}
  names: {description: Names of the hosts, type: list, elements: str, required: true}
  pattern: {description: Which variables, a regular expression, type: str, required: true}
author: The authors of this toolkit
"""
EXAMPLES = """
hosts: "{{ hostvars | xian.workflow_backend.inventory_hosts(groups.all, '^xian_') }}"
"""
RETURN = """
_value: {description: A dictionary for each host by its name, type: dict}
"""

_VALIDATOR = "hosts/{host}/priv_validator_key.json"
_WALLETS = {name: f"wallets/{name}-{{host}}.key" for name in ("processor", "api")}
_OPERATOR = "operator.token"


def inventory_hosts(
    hostvars: Mapping[str, Mapping[str, Any]], names: Iterable[str], pattern: str
) -> dict[str, dict[str, Any]]:
    """Return what is known of each host."""
    return {name: _host(name, hostvars[name], re.compile(pattern)) for name in names}


def _host(host: str, variables: Mapping[str, Any], pattern: re.Pattern[str]) -> dict[str, Any]:
    names = [name for name in variables if pattern.match(name)]
    values = dict(_values(variables, names))
    folder = json.loads(values.get("xian_network_directory", '""'))
    machine = variables.get("__preflight_machine") or {}
    return {
        "groups": variables["group_names"],
        "names": names,
        "values": values,
        **_keys(Path(folder) if isinstance(folder, str) else Path(), host),
        "machine": machine.get("machine"),
        "trouble": "" if "machine" in machine else _reason(machine),
    }


def _values(variables: Mapping[str, Any], names: Iterable[str]) -> Iterable[tuple[str, str]]:
    for name in names:
        try:
            yield name, to_json(variables[name])
        except Exception:  # noqa: S112 - whatever a template of the inventory raises
            continue


def _keys(folder: Path, host: str) -> dict[str, Any]:
    """Return the host's keys in the folder of its network, and which of them can't be read."""
    paths = [template.format(host=host) for template in (_VALIDATOR, *_WALLETS.values(), _OPERATOR)]
    texts = {path: _text(folder / path) for path in paths if (folder / path).is_file()}
    wallets = {name: texts.get(template.format(host=host)) for name, template in _WALLETS.items()}
    return {
        "closed": [path for path, text in texts.items() if text is None],
        "validator": _public_key(texts.get(_VALIDATOR.format(host=host)) or ""),
        "wallets": {name: text for name, text in wallets.items() if text is not None},
    }


def _text(path: Path) -> str | None:
    """Return a file's text, decrypted where that is needed; None where it can't be read."""
    try:
        content = path.read_bytes()
        if is_encrypted(content):
            content = VaultLib(VaultSecretsContext.current().secrets).decrypt(content)
        return content.decode().rstrip()
    except OSError, AnsibleError, UnicodeDecodeError:
        return None


def _public_key(text: str) -> str:
    try:
        return str(json.loads(text)["pub_key"]["value"])
    except ValueError, LookupError, TypeError, RecursionError:
        return ""


def _reason(answer: Mapping[str, Any]) -> str:
    """Return why a machine could not be asked, by the failed task's own words."""
    last = str(answer.get("module_stderr") or "").splitlines()[-1:]
    return " ".join([str(answer.get("msg") or ""), *last])


class FilterModule:
    """Tells Ansible of the filter."""

    def filters(self) -> dict[str, Any]:
        """Return filters by their names."""
        return {"inventory_hosts": inventory_hosts}
