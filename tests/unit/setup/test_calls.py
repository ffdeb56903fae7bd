"""A program of the set-up that is called in a wrong way says so in a line."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[3]


def test_bench_without_a_stack_says_so_before_it_makes_any_tool(tmp_path: Path) -> None:
    shutil.copy(REPO / "Makefile", tmp_path)
    done = subprocess.run(
        ["make", "-C", tmp_path, "bench"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "no development stack: do this: make dev" in done.stderr
    assert "toolchain.py" not in done.stderr


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (["release.py"], "a release needs two folders"),
        (["release.py", "one"], "a release needs two folders"),
        (["toolchain.py", "stuff"], "stuff is no word for it"),
        (["lint_contracts.py"], "no contract to lint"),
        (["lint_contracts.py", "/no/such"], "/no/such can't be read"),
        (["lint_contracts.py", sys.executable], "can't be read"),
    ],
)
def test_wrong_call_is_explained_in_a_line(call: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, REPO / "setup" / call[0], *call[1:]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
