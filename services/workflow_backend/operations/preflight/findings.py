"""What preflight found: plain data, and the report that a person reads."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from ...printable import printable


class Level(StrEnum):
    """A problem stops the deployment, a warning is shown."""

    PROBLEM = "problem"
    WARNING = "warning"


NEVER_ACCEPTED = ("consensus", "identity", "network", "preflight", "reach")
"""Checks whose problems can't be accepted: they would harm the chain, or nothing would work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong on some hosts: which check, in which words, and what to do.

    No secret is ever in the words. Without hosts it is about all of them.
    """

    check: str
    hosts: tuple[str, ...]
    what: str
    hint: str = ""
    level: Level = Level.PROBLEM

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Say what is the same on several hosts once; problems first, each kind by its first host."""
    hosts: dict[Finding, list[str]] = {}
    for finding in findings:
        hosts.setdefault(replace(finding, hosts=()), []).extend(finding.hosts)
    found = [replace(finding, hosts=tuple(sorted(set(names)))) for finding, names in hosts.items()]
    return sorted(
        found, key=lambda f: (f.level != Level.PROBLEM, f.hosts[:1], f.check, f.hosts, f.what)
    )


def accept(findings: Iterable[Finding], accepted: Collection[str]) -> Iterable[Finding]:
    """Turn the problems of accepted checks into warnings."""
    refused = sorted(set(accepted) & set(NEVER_ACCEPTED))
    for check in refused:
        yield Finding(
            "preflight",
            (),
            f"preflight_accepted holds {check}, whose problems can't be accepted",
            "remove it",
        )
    for finding in findings:
        waved = finding.check in accepted and finding.check not in refused
        yield replace(finding, level=Level.WARNING) if waved else finding


def report(findings: Sequence[Finding], total: int) -> list[str]:
    """Return aligned lines, a hint below each finding that has one; `total` hosts there are."""
    if not findings:
        return []
    rows = [(f.level.upper(), _named(f.hosts, total), f.check) for f in findings]
    widths = [max(len(text) for text in column) for column in zip(*rows, strict=True)]
    problems = sum(finding.level == Level.PROBLEM for finding in findings)
    lines = [f"{_counted(problems, 'problem')}, {_counted(len(findings) - problems, 'warning')}"]
    for row, finding in zip(rows, findings, strict=True):
        start = "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True))
        lines.append(f"{start}  {printable(finding.what)}")
        if finding.hint:
            lines.append(f"{'':<{len(start)}}  -> {printable(finding.hint)}")
    return lines


def _named(hosts: Sequence[str], total: int) -> str:
    if not hosts or len(hosts) == total > 1:
        return "all hosts"
    return ", ".join(hosts) if len(hosts) <= 3 else f"{', '.join(hosts[:3])} +{len(hosts) - 3}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
