"""The result of one check: a state, the finding in words, and a hint for the operator."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from ...printable import printable

SEE_LOG = "see its log; the playbook start.yml starts it"
RESTART = "see its log; the playbook restart.yml restarts it"
BOOTSTRAP = "set it up: workflow-backend bootstrap"


class State(StrEnum):
    """UNKNOWN could not be checked, because something that another check names has failed."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One result: the name of the check, its state, what was found, and what to do about it."""

    name: str
    state: State
    what: str
    hint: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def worst(cls, name: str, problems: Sequence[Problem], otherwise: str) -> Check:
        """Return one result that names every problem, or OK with `otherwise` when there is none.

        The problems come worst first, and the first one's state is the result's. All of them are
        named: by the next run one that was left out may be over, and nobody would hear of it.
        """
        if not problems:
            return cls(name, State.OK, otherwise)
        whats = dict.fromkeys(problem.what for problem in problems)
        hints = dict.fromkeys(problem.hint for problem in problems)
        return cls(name, problems[0].state, "; ".join(whats), "; ".join(hints))


@dataclass(frozen=True, slots=True)
class Problem:
    """One of several problems that a program reports about itself."""

    state: State
    what: str
    hint: str


def all_healthy(checks: Iterable[Check]) -> bool:
    """Tell whether nothing has failed. A warning can wait, so it does not count."""
    return not any(check.state in {State.FAILED, State.UNKNOWN} for check in checks)


def table(checks: Sequence[Check]) -> str:
    """Return the checks as aligned lines, each hint below its check; texts are escaped."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{check.name:<{width}}  {check.state.upper():<7}  {printable(check.what)}")
        if check.hint:
            lines.append(f"{'':<{width}}           -> {printable(check.hint)}")
    return "\n".join(lines)


def short(account: str) -> str:
    """Return the beginning of a public key, enough for an operator to recognise it."""
    return f"{account[:8]}…"


def duration(seconds: float) -> str:
    """Return a time span as a person says it."""
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
