"""The folders of a clone and its development stack, and their owners."""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from steps import SetupError, environment, say

ACCOUNT = "workflow-backend-dev"
ROOT_HOME = Path("/var/lib/workflow-backend-dev")
ROOT_RUN = Path("/run/workflow-backend-dev")

# The address of a Unix socket holds 107 bytes; the names below the folder need up to 50.
_LONGEST_RUN = 50


@dataclass(frozen=True)
class Places:
    """The folders of one clone, and the account that everything which runs for ever runs as."""

    repo: Path
    account: str
    runtime: Path
    data: Path
    run: Path

    @property
    def cache(self) -> Path:
        """Downloads, uv, builds and the record of what was made."""
        return self.repo / ".cache"

    @property
    def venv(self) -> Path:
        """The control environment: Ansible, tests, lint."""
        return self.repo / ".venv"

    @property
    def dev(self) -> Path:
        """What the development stack leaves for its user: `env`, keys, health."""
        return self.repo / ".dev"

    @property
    def requirements(self) -> Path:
        """The locked requirement files."""
        return self.repo / "setup" / "requirements"

    @property
    def for_root(self) -> bool:
        """Whether what runs for ever is kept outside the clone, for an account of its own."""
        return self.runtime == ROOT_HOME / "runtime"

    @property
    def owner(self) -> Path:
        """The file that names the clone which the development stack belongs to."""
        return (ROOT_HOME if self.for_root else self.dev) / "owner"

    def log(self, name: str) -> Path:
        """The file that the output of a failed step is written to."""
        return self.cache / "log" / f"{name}.log"


def places(repo: Path) -> Places:
    """The folders of the clone in `repo` for the user who asks; makes none of them."""
    if os.geteuid() == 0:
        return Places(repo, ACCOUNT, ROOT_HOME / "runtime", ROOT_HOME / "data", ROOT_RUN)
    me = pwd.getpwuid(os.geteuid()).pw_name
    return Places(repo, me, repo / ".cache" / "runtime", repo / ".dev", _short_run(repo))


def _short_run(repo: Path) -> Path:
    inside = repo / ".dev" / "run"
    if len(os.fsencode(inside)) <= _LONGEST_RUN:
        return inside
    clone = hashlib.sha256(os.fsencode(repo)).hexdigest()[:8]
    return Path("/tmp") / f"workflow-backend-{os.geteuid()}-{clone}"  # noqa: S108 -- see _own


def leave_own_tools(repo: Path) -> None:
    """Take nothing for the machine's that an earlier run made: go on without it on PATH.

    Make puts `.venv/bin` there, and so does whoever activates it. Its interpreter is of this clone
    alone, where not every account can go, and it can't make environments.
    """
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    others = [folder for folder in folders if not _is_inside(repo, folder)]
    os.environ["PATH"] = os.pathsep.join(others)
    another = shutil.which("python3")
    if another and _is_inside(repo, sys.prefix):
        os.execv(another, [another, *sys.argv])  # noqa: S606 -- the same program, by another Python


def _is_inside(repo: Path, path: str) -> bool:
    return repo in Path(os.path.realpath(path)).parents


def refuse_unusable(repo: Path) -> None:
    """Go no further in a clone whose path make, a shell, a list or an address would take apart."""
    odd = sorted(set(re.findall(r"[^\w./+@~-]", str(repo))))
    if odd:
        raise SetupError(
            f"the path of this clone, {repo}, holds {' '.join(map(repr, odd))}",
            "move the clone to a path of letters, digits and . _ - + @ ~",
        )


def prepare(where: Places) -> None:
    """Make the folders and, for root, the unprivileged account; changes nothing that is right."""
    if where.for_root:
        _make_account(where)
    account = pwd.getpwnam(where.account)
    _own(where.cache, os.geteuid(), os.getegid(), 0o755)
    _own(where.dev, os.geteuid(), os.getegid(), 0o700)
    if where.for_root:
        _own(ROOT_HOME, 0, 0, 0o755)
        _own(where.data, account.pw_uid, account.pw_gid, 0o750)
    _own(where.runtime, os.geteuid(), os.getegid(), 0o755)
    _own(where.run, account.pw_uid, account.pw_gid, 0o700)


def _make_account(where: Places) -> None:
    try:
        pwd.getpwnam(where.account)
    except KeyError:
        command = ["useradd", "--system", "--user-group", "--no-create-home"]
        command += ["--home-dir", str(where.data), "--shell", "/usr/sbin/nologin", where.account]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, env=environment())
        except (OSError, subprocess.CalledProcessError) as error:
            reason = getattr(error, "stderr", "") or error
            raise SetupError(
                f"the account {where.account} can't be made ({reason})",
                "make it with useradd --system, or run as an ordinary user",
            ) from error
        say(f"Account {where.account} made")


def _own(folder: Path, uid: int, gid: int, mode: int) -> None:
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    now = folder.lstat()
    # In a folder that everybody writes to, another user may have put a link or a folder first.
    if not stat.S_ISDIR(now.st_mode) or now.st_uid not in (uid, os.geteuid()):
        raise SetupError(f"{folder} belongs to somebody else", "remove it, or ask its owner to")
    if (now.st_uid, now.st_gid) != (uid, gid):
        os.chown(folder, uid, gid)
    if stat.S_IMODE(now.st_mode) != mode:
        folder.chmod(mode)
