"""Who asks why a program does not run hears the program, not the manager that started it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from .loading import module, utility

log = utility("program_log")
last_words = module("program_last_words")

UNIT = "workflow-backend-abci.service"
SYSTEMD = "Main process exited, code=exited, status=1/FAILURE\nFailed with result 'exit-code'.\n"


def entry(message: str, **more: Any) -> str:
    return json.dumps({"time": "now", "level": "error", "logger": "x", "message": message, **more})


class Host:
    """A journal, and what systemd says of the units' states."""

    def __init__(self, own: str = "", managers: str = SYSTEMD, **states: str) -> None:
        self.own, self.managers, self.states = own, managers, states

    def run(self, argv: list[str]) -> tuple[int, str, str]:
        match argv[:2]:
            case ["systemctl", "show"]:
                return 0, "abcdef\n", ""
            case ["systemctl", "is-active"]:
                return 3, self.states[argv[2]] + "\n", ""
        if f"_SYSTEMD_UNIT={UNIT}" in argv:
            return 0, self.own if "_SYSTEMD_INVOCATION_ID=abcdef" in argv else "of yesterday\n", ""
        return 0, self.managers if f"UNIT={UNIT}" in argv else "", ""


def test_the_programs_own_words_come_before_its_managers() -> None:
    host = Host(entry("the app does not start: a restore was cut short") + "\n")
    assert log.of_unit(host.run, UNIT) == "the app does not start: a restore was cut short"


def test_program_that_could_not_be_run_is_reported_by_its_manager() -> None:
    host = Host(managers="Failed at step EXEC spawning /opt/x: No such file or directory\n")
    assert "Failed at step EXEC" in log.of_unit(host.run, UNIT)


def test_words_of_an_earlier_start_are_the_last_resort() -> None:
    assert log.of_unit(Host(managers="").run, UNIT) == "of yesterday"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (entry("no", fields={"err": "EOF", "height": 7}), "no: EOF"),
        (entry("no", exception="Traceback (most recent call last):\n  File x\nKeyError: 1"),
         "no: KeyError: 1"),
        (entry("Traceback (most recent call last):\n  File x\nKeyError: 1"), "KeyError: 1"),
        ("plain \x1b[31mred\x07", "plain  [31mred"),
        ('{"message": ["odd"]}', "['odd']"),
        ("[" * 100_000, "[" * 2000),
    ],
)  # fmt: skip
def test_line_is_shown_as_a_person_reads_it(line: str, text: str) -> None:
    assert log.plain(line) == text


def test_only_the_last_lines_of_a_file_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "abci.log"
    assert log.of_file(path) == ""
    path.write_text("".join(f"{number}\n" for number in range(100_000)))
    assert log.of_file(path) == "99997; 99998; 99999"


@pytest.mark.as_root
def test_root_follows_no_link_and_waits_for_no_pipe_in_the_place_of_a_log(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of root")
    logs = tmp_path / "logs"
    logs.mkdir()
    os.chown(logs, 65534, 65534)
    (logs / "api.log").symlink_to(secret)
    os.mkfifo(logs / "abci.log")
    for name in ("api.log", "abci.log"):
        assert f"{name} is not a regular file" in log.of_file(logs / name)


def test_who_has_failed_speaks_and_who_runs_is_silent() -> None:
    units = {"abci": "a", "cometbft": "c", "api": "i"}
    run = Host(a="failed", c="inactive", i="active").run
    assert last_words.troubled(run, units) == {"abci": "a"}
    run = Host(a="active", c="inactive", i="active").run
    assert last_words.troubled(run, units) == {"cometbft": "c"}
    run = Host(a="active", c="active", i="active").run
    assert last_words.troubled(run, units) == units
