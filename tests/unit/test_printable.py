"""Texts of others are shown without what would act on a terminal or forge a line."""

import io
import logging
import sys

import pytest

from workflow_backend import logs
from workflow_backend.operations import health
from workflow_backend.operations.health import Check, State
from workflow_backend.operations.preflight.findings import Finding, report
from workflow_backend.printable import printable, printable_lines

EVIL = "ready\x1b[2J\x9b31m\u202e\x07\r\nall is well\ud800"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_printable_escapes() -> None:
    assert printable("größe ✓") == "größe ✓"
    assert printable(EVIL).isprintable()
    assert printable("a\nb") == r"a\nb"
    assert printable_lines("a\nb") == "a\n    b"


def test_tables_of_checks_and_findings_are_escaped() -> None:
    table = health.table([Check("node", State.FAILED, EVIL, EVIL)])
    assert [line.isprintable() for line in table.splitlines()] == [True, True]
    lines = report([Finding("disk", ("one",), EVIL, EVIL)], 2)
    assert [line.isprintable() for line in lines] == [True] * 3


def test_terminal_log_is_escaped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    logs.complain(EVIL)
    logs.set_up()
    try:
        logging.getLogger("unit").warning("the node said %s", EVIL)
    finally:
        root.handlers.clear()
    text = terminal.getvalue()
    assert all(line.isprintable() for line in text.split("\n"))
    assert not [line for line in text.split("\n") if line.startswith("all is well")]
