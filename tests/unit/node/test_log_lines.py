"""Whatever a program writes becomes one JSON object a line, and nothing of it is lost."""

import json
import signal
import subprocess
import sys
from datetime import datetime
from typing import Any

import pytest

from workflow_backend_node import log_lines

LOGURU = {
    "text": "2026-11-24 05:30:35.013 | ERROR | xian.bds:run:1 - no\nTraceback (most recent ...",
    "record": {
        "elapsed": {"repr": "0:00:00.15", "seconds": 0.15},
        "exception": {"type": "ValueError", "value": "no", "traceback": True},
        "extra": {"context": " | stage=startup", "stage": "startup"},
        "level": {"icon": "x", "name": "ERROR", "no": 40},
        "message": "no",
        "name": "xian.bds",
        "time": {"repr": "2026-11-24 05:30:35.013212+00:00", "timestamp": 1795498235.013212},
    },
}
COMETBFT = {
    "_msg": "executed block",
    "height": 7,
    "level": "info",
    "module": "state",
    "ts": "2026-11-24T05:30:35.227840609Z",
}
PREFIX = "2026-11-24 05:30:35.780 UTC [8053] "


def entries(program: str, *lines: str) -> list[dict[str, Any]]:
    return log_lines.entries(program, lines)


def test_apps_entry() -> None:
    assert entries("abci", json.dumps(LOGURU)) == [
        {
            "time": "2026-11-24T05:30:35.013Z",
            "level": "error",
            "logger": "xian.bds",
            "message": "no",
            "fields": {"stage": "startup"},
            "exception": "Traceback (most recent ...",
        }
    ]


def test_cometbfts_entry() -> None:
    assert entries("cometbft", json.dumps(COMETBFT)) == [
        {
            "time": "2026-11-24T05:30:35.227Z",
            "level": "info",
            "logger": "cometbft.state",
            "message": "executed block",
            "fields": {"height": 7},
        }
    ]


@pytest.mark.parametrize("when", ["2026-11-24T05:30:35Z", "2026-11-24T05:30:35.2Z"])
def test_cometbfts_moment_may_be_short(when: str) -> None:
    (entry,) = entries("cometbft", json.dumps({**COMETBFT, "ts": when}))
    assert datetime.fromisoformat(entry["time"]).second == 35


def test_postgresqls_entry_with_what_belongs_to_it() -> None:
    found = entries(
        "postgres",
        PREFIX + "ERROR:  value overflows numeric format",
        PREFIX + "DETAIL:  it does",
        PREFIX + "STATEMENT:  ",
        "\t    INSERT INTO t",
        "\t    VALUES ($1)",
        PREFIX + "LOG:  checkpoint complete",
    )
    assert found == [
        {
            "time": "2026-11-24T05:30:35.780Z",
            "level": "error",
            "logger": "postgres",
            "message": "value overflows numeric format",
            "fields": {
                "pid": 8053,
                "detail": "it does",
                "statement": "\n    INSERT INTO t\n    VALUES ($1)",
            },
        },
        {
            "time": "2026-11-24T05:30:35.780Z",
            "level": "info",
            "logger": "postgres",
            "message": "checkpoint complete",
            "fields": {"pid": 8053},
        },
    ]


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        ("LOG", "info"),
        ("WARNING", "warning"),
        ("FATAL", "error"),
        ("PANIC", "critical"),
        ("DEBUG1", "debug"),
    ],
)
def test_postgresqls_severities(severity: str, level: str) -> None:
    assert entries("postgres", f"{PREFIX}{severity}:  x")[0]["level"] == level


def test_traceback_is_one_entry() -> None:
    lines = ["Traceback (most recent call last):", '  File "x.py", line 1', "", "ValueError: no"]
    (entry,) = entries("abci", *lines)
    assert (entry["level"], entry["logger"]) == ("error", "abci")
    assert entry["message"] == "\n".join(lines)


def test_level_in_front_is_taken() -> None:
    (entry,) = entries("abci", "ERROR    Task exception was never retrieved", "Traceback ...")
    assert entry["level"] == "error"
    assert entry["message"] == "Task exception was never retrieved\nTraceback ..."


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "{}",
        "[1]",
        '{"a":' * 100_000,
        '{"record": 1}',
        '{"record": {}, "text": ""}',
        '{"_msg": 1}',
        "half",
        "\0",
    ],
)
def test_any_line_is_an_entry(line: str) -> None:
    (entry,) = entries("abci", line)
    assert entry["message"] == line


def test_our_own_entry_stays_as_it_is() -> None:
    line = log_lines.entry("warning", "abci", "waiting")
    assert entries("abci", line) == [json.loads(line)]


def test_process_outlives_a_request_to_end_and_ends_with_its_program() -> None:
    with subprocess.Popen(
        [sys.executable, "-IS", log_lines.__file__, "abci"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"one\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["message"] == "one"
        for how in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            process.send_signal(how)
        process.stdin.write(b"\xff no line's end")
        process.stdin.close()
        assert json.loads(process.stdout.read())["message"] == "\ufffd no line's end"
        assert process.wait(5) == 0


def test_log_that_nobody_reads_does_not_stop_the_program() -> None:
    with subprocess.Popen(
        [sys.executable, "-IS", log_lines.__file__, "abci"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        for _ in range(10):
            process.stdin.write(b"x" * 100_000 + b"\n")
        process.stdin.close()
        assert process.wait(5) == 0
