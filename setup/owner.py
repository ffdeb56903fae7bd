"""Which clone the development stack belongs to: root's clones share one place and one chain."""

from __future__ import annotations

from pathlib import Path

from places import Places
from steps import SetupError, write_text


def claim(where: Places) -> None:
    """Write down that the data is this clone's: before the first of it is made."""
    if of(where) != where.repo:
        write_text(where.owner, f"{where.repo}\n")


def refuse_other(where: Places) -> None:
    """Go no further where the data belongs to another clone that still exists."""
    owner = of(where)
    if owner is None or owner == where.repo or not (owner / "setup" / "dev_down.py").exists():
        return
    raise SetupError(
        f"the development stack in {where.owner.parent} belongs to the clone in {owner}",
        f"make -C {owner} dev-down (its chain goes with it), or work in that clone",
    )


def of(where: Places) -> Path | None:
    """The clone that the data was made for; None where there is no stack."""
    try:
        return Path(where.owner.read_text(encoding="utf-8").rstrip("\n"))
    except FileNotFoundError:
        return None
