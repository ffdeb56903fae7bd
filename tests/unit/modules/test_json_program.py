"""Root waits and reads without end for no program that runs as an account."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from .loading import module

json_program: Any = module("json_program")


def run(code: str, given: str = "{}", seconds: float = 30.0) -> tuple[int, str, str]:
    answer: tuple[int, str, str] = json_program.run(
        [sys.executable, "-c", code], given, {"NAME": "value"}, seconds
    )
    return answer


def test_program_is_given_its_request_and_environment() -> None:
    code = "import os, sys; sys.stdout.write(sys.stdin.read() + os.environ['NAME']); sys.exit(3)"
    assert run(code, "x" * 300_000) == (3, "x" * 300_000 + "\nvalue", "")


def test_program_that_reads_nothing_is_no_failure() -> None:
    assert run("print('done')", "x" * 300_000) == (0, "done\n", "")


def stopping(folder: Path) -> str:
    """A program whose child stops itself, as an account can stop all that it runs."""
    return (
        "import os, pathlib, signal\n"
        "child = os.fork()\n"
        f"pathlib.Path({str(folder)!r}, 'pid').write_text(str(child or os.getpid()))\n"
        "os.kill(os.getpid(), signal.SIGSTOP)\n"
    )


def test_program_that_stops_is_killed_with_all_of_its_group(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(json_program.Unbounded, match=r"did not end within 1\.0 s"):
        run(stopping(tmp_path), seconds=1.0)
    assert time.monotonic() - began < 20
    child = Path("/proc", (tmp_path / "pid").read_text(), "stat")
    while child.exists() and child.read_text().rsplit(")", 1)[1].split()[0] not in "ZX":
        assert time.monotonic() - began < 20
        os.sched_yield()


def test_program_that_prints_without_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_program, "MOST_BYTES", 100_000)
    for stream in ("stdout", "stderr"):
        with pytest.raises(json_program.Unbounded, match="printed more than 100000 bytes"):
            run(f"import sys\nwhile True: sys.{stream}.write('x' * 4096)")


def test_child_that_holds_the_output_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_program, "PIPES_SECONDS", 0.2)
    began = time.monotonic()
    code = "import subprocess; print(subprocess.Popen(['sleep', '20']).pid, flush=True)"
    status, out, _ = run(code)
    os.kill(int(out), 9)
    assert (status, time.monotonic() - began < 15) == (0, True)


def test_child_that_prints_without_end_behind_its_program_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has left the program's group, which is empty: there is nobody to kill."""
    monkeypatch.setattr(json_program, "MOST_BYTES", 100_000)
    code = (
        "import os, signal\n"
        "ready, go = os.pipe()\n"
        "if os.fork():\n"
        "    os.read(ready, 1)\n"
        "    os._exit(0)\n"
        "os.setsid()\n"
        "os.write(1, b'x' * 65_536)\n"
        "os.write(go, b'x')\n"
        "while True: os.write(1, b'x' * 4096)\n"  # it ends once nobody reads
    )
    with pytest.raises(json_program.Unbounded, match="printed more than 100000 bytes"):
        run(code)
