"""The programs of the services on a host, with their accounts and folders."""

from collections.abc import Mapping, Sequence
from typing import Any

DOCUMENTATION = """
name: service_programs
short_description: The options of the role C(program) for the services of a host
description:
  - C(service_programs) gives the programs, C(service_accounts) their accounts and
    C(service_folders) their folders.
options:
  _input: {description: Names of the services, type: list, elements: str, required: true}
  plan:
    description:
      - C(command), C(directory), C(run), C(accounts), C(build) and C(settings) are the options of
        the role C(workflow_services) by these names. C(descriptions), C(environments),
        C(credentials) and C(limits) hold those of each service. C(handlers) is the text of the
        handlers' file, C(projection) the folder of a projection that is a file and C(clients) the
        group of those who use it.
    type: dict
    required: true
author: The authors of this toolkit
"""
EXAMPLES = """
program_list: "{{ workflow_services_names | xian.workflow_backend.service_programs(plan) }}"
program_accounts: "{{ workflow_services_names | xian.workflow_backend.service_accounts(plan) }}"
program_folders: "{{ workflow_services_names | xian.workflow_backend.service_folders(plan) }}"
"""
RETURN = """
_value: {description: A dictionary for each, type: list, elements: dict}
"""

_NODE = ("postgres", "abci", "cometbft")

_DRAIN = "XIAN_WORKFLOW_DRAIN_SECONDS"
_STOP_SECONDS = 30
_AFTER_DRAIN_SECONDS = 20
"""What a service has left to let go of its items once its drain is over."""


def service_programs(names: Sequence[str], plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the services as programs, in the order of their names."""
    return [_program(name, plan) for name in names]


def _program(name: str, plan: Mapping[str, Any]) -> dict[str, Any]:
    limits = plan["limits"][name]
    state = f"{plan['directory']}/{name}"
    program = {
        "name": name,
        "description": plan["descriptions"][name],
        "command": [plan["command"], name],
        "account": plan["accounts"][name],
        "groups": limits["groups"],
        "network": limits["network"],
        "writable": [state, *limits["writable"]],
        "umask": limits["umask"],
        "directory": plan["directory"],
        "environment": {
            **plan["environments"][name],
            **plan["settings"].get(name, {}),
            "XIAN_WORKFLOW_STATE_DIR": state,
        },
        "after": [*_NODE, "handlers"] if name == "processor" else [*_NODE],
        # The handlers read their file when they start.
        "revision": plan["build"] + (plan["handlers"] if name == "handlers" else ""),
    }
    drain = str(program["environment"].get(_DRAIN, ""))
    if drain.isdecimal():  # anything else the service refuses itself
        program["stop_seconds"] = max(_STOP_SECONDS, int(drain) + _AFTER_DRAIN_SECONDS)
    if credentials := plan["credentials"][name]:
        program["credentials"] = credentials
    return program


def service_accounts(names: Sequence[str], plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the account of each service with its further groups."""
    return [
        {"name": plan["accounts"][name], "groups": plan["limits"][name]["groups"]} for name in names
    ]


def service_folders(names: Sequence[str], plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the folders that the services need before they start."""
    accounts = plan["accounts"]
    folders = [_own(plan["run"], accounts["handlers"], "0750")] if "handlers" in names else []
    folders += [_own(f"{plan['directory']}/{name}", accounts[name], "0700") for name in names]
    if "projector" in names and plan["projection"]:
        # Set-group-id: whatever projector or API makes there, the other may use.
        shared = _own(plan["projection"], accounts["projector"], "2770")
        folders.append({**shared, "group": plan["clients"]})
    return folders


def _own(path: str, account: str, mode: str) -> dict[str, Any]:
    return {"path": path, "owner": account, "group": account, "mode": mode}


class FilterModule:
    """Tells Ansible of the filters."""

    def filters(self) -> dict[str, Any]:
        """Return filters by their names."""
        return {
            "service_programs": service_programs,
            "service_accounts": service_accounts,
            "service_folders": service_folders,
        }
