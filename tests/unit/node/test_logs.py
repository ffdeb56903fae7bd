"""A program's last words are in its log, in the log's shape, when the program has ended."""

import json
import os
import pty
import subprocess
import sys

import pytest

BEGIN = "import atexit, os, sys\nfrom workflow_backend_node import logs\nlogs.begin('x')\n"


def log_entries(program: str) -> list[dict[str, str]]:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + program], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("print('hello')", "hello"),
        ("os.write(2, b'native')", "native"),
        ("os.system('echo of a child')", "of a child"),
        ("atexit.register(print, 'at the end')", "at the end"),
        ("print('before'); logs.end(); os._exit(1)", "before"),
    ],
)
def test_everything_is_an_entry(program: str, message: str) -> None:
    (entry,) = log_entries(program)
    assert (entry["message"], entry["logger"]) == (message, "x")


def test_error_that_nobody_catches_is_one_entry() -> None:
    (entry,) = log_entries("raise ValueError('no')")
    assert entry["level"] == "error"
    assert entry["message"].startswith("Traceback")
    assert entry["message"].endswith("ValueError: no")


def test_our_own_words_have_a_level() -> None:
    (entry,) = log_entries("logs.say('info', 'two\\nlines')")
    assert (entry["level"], entry["message"]) == ("info", "two\nlines")


def test_terminal_is_for_a_person() -> None:
    master, terminal = pty.openpty()
    program = BEGIN + "logs.say('info', 'hello')"
    subprocess.run([sys.executable, "-c", program], stdout=terminal, stderr=terminal, check=True)
    assert os.read(master, 100) == b"hello\r\n"
    os.close(terminal)
    os.close(master)
