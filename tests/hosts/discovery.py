"""Which scenarios there are: Molecule's of each role and of several, and pytest's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steps import SetupError

from . import store

_FOURTH = re.compile(r"\bv(alidator-)?4\b")


@dataclass(frozen=True)
class Scenario:
    """A scenario by its name, how it is run, and the network that Molecule's hosts are on.

    A busy one keeps two cores at work by itself: it runs four validators. One `by_name` is run
    when it is named, and not with all.
    """

    name: str
    folder: Path
    command: tuple[str, ...]
    network: str = ""
    is_busy: bool = False
    by_name: bool = False

    def is_meant_by(self, word: str) -> bool:
        """Whether a word names it: itself, or the role that it is of."""
        return word in {self.name, self.name.partition("/")[0], self.name.removeprefix("test_")}


def scenarios(repo: Path) -> list[Scenario]:
    """Every scenario of the repository, by name."""
    found = [_of_molecule(file) for file in repo.glob("roles/*/molecule/*/molecule.yml")]
    found += [_of_molecule(file) for file in repo.glob("tests/hosts/molecule/*/molecule.yml")]
    found += [_of_pytest(repo, file) for file in repo.glob("tests/hosts/scenarios/**/test_*.py")]
    return sorted(found, key=lambda scenario: scenario.name)


def chosen(found: Sequence[Scenario], words: Sequence[str]) -> list[Scenario]:
    """Those that the words name, without words all but the long ones; raises `SetupError`."""
    if not words:
        return [scenario for scenario in found if not scenario.by_name]
    meant = {scenario.name for word in words for scenario in _meant(found, word)}
    return [scenario for scenario in found if scenario.name in meant]


def _meant(found: Sequence[Scenario], word: str) -> list[Scenario]:
    """A role's word is its own: the long scenario of that name has to be named in full."""
    meant = [scenario for scenario in found if scenario.is_meant_by(word)]
    if not meant:
        names = " ".join(scenario.name for scenario in found)
        raise SetupError(f"there is no scenario {word}", f"make test-hosts ONLY=... of {names}")
    return [one for one in meant if not one.by_name or one.name == word] or meant


def _of_molecule(file: Path) -> Scenario:
    scenario, project = file.parent.name, file.parents[2]
    is_role = project.parent.name == "roles"
    name = scenario
    if is_role:
        name = project.name if scenario == "default" else f"{project.name}/{scenario}"
    command = ("molecule", "test", "--scenario-name", scenario)
    return Scenario(name, project, command, store.name_of(str(file.parent)), _is_busy(file))


def _of_pytest(repo: Path, file: Path) -> Scenario:
    command = ("pytest", "--verbose", str(file.relative_to(repo)))
    by_name = file.parent.name == "long"
    return Scenario(file.stem, repo, command, is_busy=_is_busy(file), by_name=by_name)


def _is_busy(file: Path) -> bool:
    return bool(_FOURTH.search(file.read_text(encoding="utf-8")))
