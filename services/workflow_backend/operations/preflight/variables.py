"""Variables: every name is one that a role knows, and every value one that its role takes."""

import math
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from .catalogue import Catalogue, Option
from .findings import Finding, Level
from .inventory import Host, Inventory, truth

CHECK = "variables"

FILES = (
    "workflow_services_api_ca",
    "workflow_services_api_certificate",
    "workflow_services_handlers",
    "workflow_services_projection_ca",
    "xian_node_index_ca",
)
"""What names a file on the control machine."""


def check(
    inventory: Inventory, catalogue: Catalogue, prefixes: Sequence[str], *, rehearsal: bool
) -> Iterator[Finding]:
    """Look at every variable that begins as the roles' own do: a misspelt one must not be lost."""
    for host in inventory.hosts.values():
        names = [name for name in sorted(host.names) if name.startswith(tuple(prefixes))]
        for name in names:
            yield from _variable(host, name, catalogue)
        yield from _files(host, inventory)
        needed = [name for name, role in sorted(catalogue.required.items()) if role in host.roles]
        if unset := [name for name in needed if name not in host.names]:
            yield Finding(CHECK, (host.name,), f"not set: {', '.join(unset)}")
        lost = [name for name in names if name not in host.values and name in catalogue.options]
        if lost:
            # What is read from the network's files can't be there before the network.
            early = rehearsal and host.node and inventory.network(host) is None
            yield Finding(
                CHECK,
                (host.name,),
                f"can't be evaluated: {', '.join(lost)}",
                "a variable or a file that it uses is missing: "
                f"ansible -i INVENTORY HOST -m debug -a var={lost[0]} says which",
                Level.WARNING if early else Level.PROBLEM,
            )


def _files(host: Host, inventory: Inventory) -> Iterator[Finding]:
    for name in FILES:
        if (path := host.text(name)) in inventory.absent:
            yield Finding(CHECK, (host.name,), f"{name}: there is no file {path}")
    if what := inventory.handlers.get(host.text("workflow_services_handlers")):
        hint = "see docs/handlers.md; the running handlers would not start again"
        yield Finding("handlers", (host.name,), what, hint)


def _variable(host: Host, name: str, catalogue: Catalogue) -> Iterator[Finding]:
    if name in catalogue.renamed:
        new = catalogue.renamed[name]
        yield Finding(CHECK, (host.name,), f"{name} has another name now", f"rename it to {new}")
    elif name not in catalogue.options:
        near = get_close_matches(name, catalogue.options, n=1, cutoff=0.8)
        hint = f"is it {near[0]}?" if near else "give a variable of your own another prefix"
        yield Finding(CHECK, (host.name,), f"no role knows {name}", hint)
    elif name in host.values and (wrong := _wrong(catalogue.options[name], host.values[name])):
        yield Finding(CHECK, (host.name,), f"{name} {wrong}")


def _wrong(option: Option, value: Any) -> str:
    """Say what is wrong with a value, without the value where it is a secret."""
    shown = "" if option.secret else f", it is {value!r}"
    if not _fits(option.kind, value):
        return f"must be of the type {option.kind}{shown}"
    if option.choices:
        allowed = {str(choice) for choice in option.choices}
        for each in value if isinstance(value, list) else [value]:
            if str(each) not in allowed:
                listed = ", ".join(str(choice) for choice in option.choices)
                return f"must be of {listed}{shown}"
    return ""


def _fits(kind: str, value: Any) -> bool:
    """Tell whether Ansible would take a value for an option of a type."""
    match kind:
        case "int" | "float":
            number = _number(value)
            return number.is_integer() if kind == "int" else math.isfinite(number)
        case "bool":
            return truth(value) is not None
        case "list":
            return isinstance(value, list | str)
        case "dict":
            return isinstance(value, dict)
        case "":
            return True
    return not isinstance(value, list | dict)


def _number(value: Any) -> float:
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except TypeError, ValueError:
        return math.nan
