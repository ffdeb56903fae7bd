"""The figures, each beside the ceiling and the plain client of the same run, as table and JSON."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

COLUMNS = ("figure", "measured", "ceiling", "plain client", "at least", "")


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    name: str
    measured: str
    ceiling: str
    plain: str
    floor: str
    met: bool


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as aligned lines."""
    rows = [COLUMNS]
    rows += [
        (f.name, f.measured, f.ceiling, f.plain, f.floor, "ok" if f.met else "MISSED")
        for f in figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def write(path: Path, figures: Sequence[Figure]) -> None:
    """Write the figures and the machine that they are of."""
    machine = {"cores": os.cpu_count(), "platform": platform.platform()}
    told = {"machine": machine, "figures": [asdict(figure) for figure in figures]}
    path.write_text(json.dumps(told, indent=2), encoding="utf-8")


def megabytes(sizes: dict[str, float]) -> str:
    """Return megabytes by service in words."""
    return ", ".join(f"{name} {size:.0f}" for name, size in sorted(sizes.items())) + " MB"
