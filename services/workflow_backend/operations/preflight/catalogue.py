"""Which variables there are: the options of roles, and what playbooks use beside them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

RENAMED: dict[str, str] = {}
"""Variables that had another name in an earlier version: old -> new."""

_TEMPLATE = re.compile(r"\{[{%]")


@dataclass(frozen=True, slots=True)
class Option:
    """A variable: what it may hold, and what it is where nobody sets it."""

    name: str
    kind: str = ""
    choices: tuple[Any, ...] = ()
    default: Any = None
    secret: bool = False


class Catalogue:
    """Every variable by its name.

    `specs` holds each role's argument_specs, `profiles` the files of its vars/main by their names.
    `variables` are those that playbooks use beside the roles' own.
    """

    def __init__(
        self,
        specs: Mapping[str, Mapping[str, Any]],
        profiles: Mapping[str, Mapping[str, Mapping[str, Any]]],
        variables: Iterable[str] = (),
        renamed: Mapping[str, str] = RENAMED,
    ) -> None:
        self.renamed = renamed
        self.options = {name: Option(name) for name in variables}
        self._profiles = profiles
        for role in sorted(specs):
            for point in specs[role]["argument_specs"].values():
                for name, spec in point.get("options", {}).items():
                    # A role repeats the options of others that it needs; the owner's word counts.
                    if name.startswith(f"{role}_") or name not in self.options:
                        self._add(name, spec)
        self.required = {
            name: role
            for role, spec in specs.items()
            for name, option in spec["argument_specs"].get("main", {}).get("options", {}).items()
            if option.get("required") and name.startswith(f"{role}_")
        }
        """What a host of a role has to set, with the role."""

    def _add(self, name: str, spec: Mapping[str, Any]) -> None:
        before = self.options.get(name)
        self.options[name] = Option(
            name,
            spec.get("type", "str"),
            tuple(spec.get("choices", ())),
            # An entry point may demand what another has a default for.
            spec.get("default", before.default if before else None),
            bool(spec.get("no_log")),
        )

    @property
    def secrets(self) -> frozenset[str]:
        """The names of the options that hold secrets."""
        return frozenset(name for name, option in self.options.items() if option.secret)

    def default(self, name: str, values: Mapping[str, Any]) -> Any:
        """Return what a variable is on a host that does not set it; None where that is not known.

        `values` are those that the host sets: a default may be a line of a profile or name another
        variable.
        """
        option = self.options.get(name)
        default = option.default if option else None
        if not isinstance(default, str) or not _TEMPLATE.search(default):
            return default
        if match := re.fullmatch(r"\{\{ *_(\w+)_profile\.(\w+) *\}\}", default):
            return self._profile(match[1], values).get(match[2])
        if match := re.fullmatch(r"\{\{ *([a-z]\w*) *\}\}", default):
            other = match[1]
            return values[other] if other in values else self.default(other, values)
        return None

    def _profile(self, role: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
        name = f"{role}_profile"
        chosen = values.get(name, self.default(name, values))
        text: Mapping[str, Any] = self._profiles.get(role, {}).get(f"{chosen}.yml", {})
        return text
