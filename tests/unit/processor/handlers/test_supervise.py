"""The program that handlers' programs run under, alone: how it ends what they left."""

import subprocess
import sys

from workflow_backend.processor.handlers import supervise

LEFT = """
import os, runpy, time
supervise = runpy.run_path({path!r})
looks, children = [], supervise["_children"]

def look():
    looks.append(children())
    return looks[-1]

supervise["_kill_all"].__globals__["_children"] = look
supervise["_set"](supervise["_PR_SET_CHILD_SUBREAPER"], 1)
for _ in range(60):
    if os.fork() == 0:
        os.setsid()
        os.fork()
        time.sleep(600)
supervise["_kill_all"]()
print(len(looks), len(children()))
"""


def test_supervisor_scans_a_few_times_however_many_daemons_there_are() -> None:
    """One look for each took longer than the time that it has, where there were hundreds."""
    done = subprocess.run(
        [sys.executable, "-c", LEFT.format(path=supervise.__file__)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    looks, left = map(int, done.stdout.split())
    assert left == 0
    assert looks < 10
