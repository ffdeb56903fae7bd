"""A program that another one runs for as long as both are there."""

import subprocess
from collections.abc import Iterable


def start(command: Iterable[str], on_death: str) -> subprocess.Popen[bytes]:
    """Start it; the kernel sends it the signal `on_death` when the one who started it is gone."""
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", on_death, "--", *command], stdin=subprocess.DEVNULL
    )


def exit_status(code: int) -> int:
    """Its exit status as a shell tells it, where a signal is a number above 128."""
    return code if code >= 0 else 128 - code
