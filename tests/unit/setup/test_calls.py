"""A program of the set-up that is called in a wrong way says so in a line."""

import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (["release.py"], "a release needs two folders"),
        (["release.py", "one"], "a release needs two folders"),
        (["toolchain.py", "stuff"], "stuff is no word for it"),
        (["lint_contracts.py"], "no contract to lint"),
        (["lint_contracts.py", "/no/such"], "/no/such can't be read"),
        (["lint_contracts.py", sys.executable], "can't be read"),
    ],
)
def test_a_wrong_call_is_told_in_a_line(call: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, REPO / "setup" / call[0], *call[1:]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
