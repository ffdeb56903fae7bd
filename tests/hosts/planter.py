"""Hostile accounts: each plants links and pipes wherever it may write, under names that root uses.

A link leads to a folder of root's, or to a file in it that holds a secret: whoever follows one as
root changes, gives away or shows what no account may have.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from .host import Host

ACCOUNTS = tuple(
    f"workflow-{name}" for name in ("node", "postgres", "handlers", "projector", "processor", "api")
)
ROOTS = ("/var/lib/workflow-backend", "/run/workflow-backend")
CANARY = "/root/canary"
PROGRAM = "/var/lib/hostile/planter"

NAMES = (
    # What playbooks of this and of earlier releases make beside a service's data.
    *("push", "brought", ".brought", "incoming", "outgoing"),
    # What a snapshot and its drill consist of, where there is none of that name yet.
    *("manifest.json", "signatures.json", "verified.json", "state.tar.gz", "index.dump"),
    *("projection.sqlite3.rebuild", "projection.sqlite3.rebuild.lock"),
    # What homes tell of themselves, and what services tell of themselves.
    *("pushed.json", ".cometbft.pushed", "fetching.json", "restore.json", "xian.before-restore"),
    *(f"{name}.heartbeat.json" for name in ("handlers", "projector", "processor", "api")),
    *("heartbeat.json", "lock", "handlers.toml", "tokens.json", "events.cursor.json"),
)
OWN = (
    # What the account's own programs need: with a plant in its place they have to say so.
    *("restore", "journal.json", "identity", "first-start.json", ".lock", ".making-", ".state."),
    *(".unpacked.", ".home.", ".cometbft.before-recovery-1", ".removed.1"),
)
BEATS = (".heartbeat.json",)
SNAPSHOTS = (*BEATS, "manifest.json", "signatures.json", "state.tar.gz", "index.dump")
"""Ends of the names of files that are there and become links."""

LEFT_OUT = ("cluster", "lmdb", "data", "bds-spool", ".making-")
"""Databases, and what the account's own program writes just now: a plant there proves nothing."""

_PROGRAM = r"""#!/usr/bin/python3 -IB
import os, sys, time

NAMES, REPLACED, LEFT_OUT, ROOTS, CANARY = %(given)r
TARGETS = (CANARY, CANARY + "/file", None)  # without a target it is a pipe

def plant(path, kind):
    if TARGETS[kind] is None:
        os.mkfifo(path)
    else:
        os.symlink(TARGETS[kind], path)

def is_planted(path):
    return os.path.islink(path) or not (os.path.isfile(path) or os.path.isdir(path))

def fill(folder, name, turn):
    path = os.path.join(folder, name)
    if os.path.lexists(path) and is_planted(path):
        os.unlink(path)
    plant(path, turn %% len(TARGETS))

def replace(folder, name):
    beside = os.path.join(folder, ".planted")
    os.symlink(CANARY + "/file", beside)
    os.rename(beside, os.path.join(folder, name))

def once(names, turn):
    for root in ROOTS:
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if not name.startswith(LEFT_OUT)]
            if not os.access(folder, os.W_OK):
                continue
            for number, name in enumerate(names):
                try:
                    fill(folder, name, turn + number)
                except OSError:  # something else has that name, or its program was faster
                    pass
            for name in files:
                if name.endswith(REPLACED) and os.path.isfile(os.path.join(folder, name)):
                    try:
                        replace(folder, name)
                    except OSError:
                        pass

turn = 0
while True:
    once(NAMES, turn)
    if sys.argv[1:] == ["once"]:
        break
    turn += 1
    time.sleep(0.05)
"""

_COUNT = f"find {' '.join(ROOTS)} -xdev \\( -type p -o -lname '{CANARY}*' \\)"


class Planters:
    """The planters of a host, and what they are after."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.secret = secrets.token_hex(16)
        content = f'{{"secret": "{self.secret}"}}'
        host.run(["mkdir", "-p", "-m", "0700", CANARY])
        for name in ("file", "journal.json", "manifest.json", "signatures.json"):
            host.run(["tee", f"{CANARY}/{name}"], input=content)
        host.run(["mkdir", "-p", "/var/lib/hostile"])

    @contextmanager
    def planting(self, names: tuple[str, ...], replaced: tuple[str, ...]) -> Iterator[None]:
        """Plant once in every place, then on and on while the block runs; no plant is left."""
        ways = ("{}", "{}.new", ".{}.new", "{}.tmp", "{}~")
        every = tuple(way.format(name) for name in names for way in ways)
        given = (every, replaced, LEFT_OUT, ROOTS, CANARY)
        self._host.run(["tee", PROGRAM], input=_PROGRAM % {"given": given})
        self._host.run(["chmod", "0755", PROGRAM])
        for account in ACCOUNTS:
            self._host.run(["runuser", "-u", account, "--", PROGRAM, "once"])
        assert int(self._host.output(f"{_COUNT} | wc -l")) > len(ACCOUNTS) * len(names)
        for account in ACCOUNTS:
            unit = [f"--uid={account}", f"--unit=planter-{account}", "--collect"]
            self._host.run(["systemd-run", "--quiet", *unit, PROGRAM])
        try:
            yield
        finally:
            self._host.run("systemctl stop 'planter-*'")
            self._host.run(f"{_COUNT} -delete")

    def canary(self) -> str:
        """The folder of root's as it is, with the sums of what is in it."""
        return self._host.output(
            f"find {CANARY} -printf '%p %y %m %u %g %s %T@\\n' | sort; "
            f"find {CANARY} -type f -exec sha256sum {{}} +"
        )
