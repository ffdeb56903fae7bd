"""A child process that does not outlive its parent."""

import ctypes
import signal
import subprocess
from collections.abc import Iterable
from functools import partial

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>


def start(command: Iterable[str], on_death: signal.Signals) -> subprocess.Popen[bytes]:
    """Start it; the kernel sends it the signal `on_death` when the one who started it is gone."""
    # setpriv does the same, but changes capabilities too, which a unit may not.
    ask_kernel = partial(ctypes.CDLL(None).prctl, _SET_DEATH_SIGNAL, int(on_death))
    return subprocess.Popen(
        [*command],
        stdin=subprocess.DEVNULL,
        preexec_fn=ask_kernel,  # noqa: PLW1509 - the programs that call this have one thread then
    )


def exit_status(code: int) -> int:
    """Its exit status as a shell reports it, where a signal is a number above 128."""
    return code if code >= 0 else 128 - code
