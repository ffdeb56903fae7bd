"""CPython 3.14: the machine's own, one that uv brings, or Debian's packages in a private folder."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import debian
from places import Places
from steps import SetupError, environment, file_digest, mark_made, remove, say, step
from uv import Uv

SERIES = "3.14"
_RECORD = "python.json"
_PROBE = """
import json, os, platform, sys, sysconfig
print(json.dumps({
    "series": "%d.%d" % sys.version_info[:2],
    "version": platform.python_version(),
    "usual": platform.python_implementation() == "CPython"
             and not sysconfig.get_config_var("Py_GIL_DISABLED"),
    "executable": os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable),
}))
"""


@dataclass(frozen=True)
class Python:
    """One interpreter: where it is, which one exactly, and how it came."""

    executable: Path
    version: str
    sha256: str
    way: str
    packages: dict[str, str] = field(default_factory=dict)

    @property
    def made_from(self) -> dict[str, str]:
        """What an environment on this interpreter depends on."""
        return {"executable": str(self.executable), "sha256": self.sha256}


def make(where: Places, uv: Uv) -> tuple[Python, Python]:
    """The interpreters of the control environment and of what runs for ever.

    They are the same one unless root keeps what runs for ever outside the clone.
    """
    homes = [where.runtime / "python"]
    if where.for_root:
        homes.insert(0, where.cache / "python")
    # One that its account can't run, as from a clone in root's home, is made anew.
    missing = [home for home in homes if not _runs(_recorded(home), home, where)]
    if missing:
        _make(where, uv, missing)
    known = [_recorded(home) for home in homes]
    if known[0] is None or known[-1] is None:
        raise SetupError("CPython changed while it was set up", "run the same command again")
    return known[0], known[-1]


def _runs(python: Python | None, home: Path, where: Places) -> bool:
    return python is not None and _probe(python.executable, _user(home, where)) is not None


def _make(where: Places, uv: Uv, homes: list[Path]) -> None:
    executable = _on_path(where)
    if executable:
        for home in homes:
            remove(home)
            home.mkdir(parents=True)
            _record(home, executable, where, "PATH")
        say(f"CPython {SERIES}: {executable}")
        return
    reasons = []
    if not debian.is_fetched(where):
        try:
            with step(f"CPython {SERIES} from uv"):
                source = from_uv(where, uv)
                for home in homes:
                    remove(home)
                    shutil.copytree(source, home, symlinks=True)
                    _record(home, home / "bin" / f"python{SERIES}", where, "uv")
        except SetupError as error:
            reasons.append(f"uv: {error.what}")
        else:
            return
    try:
        with step(f"CPython {SERIES} from Debian's packages"):
            packages = debian.fetch(where, uv)
            for home in homes:
                _record(home, debian.place(where, uv, home), where, "Debian", packages)
    except SetupError as error:
        reasons.append(f"Debian: {error.what}")
        raise SetupError(
            f"CPython {SERIES} can't be had ({'; '.join(reasons)})",
            f"put python{SERIES} on PATH, or: {error.remedy}",
        ) from error


def _on_path(where: Places) -> Path | None:
    user = where.account if where.for_root else None
    for folder in os.get_exec_path():
        answer = _probe(Path(folder) / f"python{SERIES}", user)
        if answer and answer["usual"] and answer["series"] == SERIES:
            executable = Path(answer["executable"])
            if not _is_made(executable):
                return executable
    return None


def _is_made(executable: Path) -> bool:
    """Whether a set-up made it, of this clone or of another: it goes with what it is for."""
    return any((folder / _RECORD).exists() for folder in executable.parents)


def from_uv(where: Places, uv: Uv) -> Path:
    """Download an interpreter that works in any folder and return its own."""
    folder = where.cache / "tools" / "python"
    # One short try: where the download's host can't be reached, Debian's packages are next.
    uv(
        *("python", "install", "--no-bin", "--install-dir", folder, SERIES),
        what="the download failed",
        log="uv-python",
        UV_HTTP_TIMEOUT="15",
        UV_HTTP_CONNECT_TIMEOUT="4",
        UV_HTTP_RETRIES="0",
        UV_PYTHON_DOWNLOADS="manual",
    )
    found = relocatable(where)
    if found is None:
        raise SetupError("the download holds no interpreter", "use another way")
    return found


def relocatable(where: Places) -> Path | None:
    """The folder of the interpreter that an earlier download left, if there is one."""
    folder = where.cache / "tools" / "python"
    for program in sorted(folder.glob(f"cpython-{SERIES}.*/bin/python{SERIES}")):
        return program.resolve().parent.parent
    return None


def version(executable: Path) -> str:
    """The version of an interpreter, as it says itself."""
    answer = _probe(executable)
    if answer is None:
        raise SetupError(f"{executable} does not run", "read its own error by starting it")
    return str(answer["version"])


def _record(
    home: Path, executable: Path, where: Places, way: str, packages: dict[str, str] | None = None
) -> None:
    """Prove that the interpreter runs for whoever will run it, then write down which it is."""
    user = _user(home, where)
    answer = _probe(executable, user)
    if answer is None or answer["series"] != SERIES:
        as_whom = f" as {user}" if user else ""
        raise SetupError(f"{executable} does not run{as_whom}", "read its own error by starting it")
    python = Python(
        executable, answer["version"], file_digest(executable), way, dict(packages or {})
    )
    mark_made(home, {**asdict(python), "executable": str(executable)}, _RECORD)


def _recorded(home: Path) -> Python | None:
    """The interpreter that an earlier run chose, if it is still the same."""
    try:
        record = json.loads((home / _RECORD).read_text(encoding="utf-8"))
        python = Python(**{**record, "executable": Path(record["executable"])})
        return python if file_digest(python.executable) == python.sha256 else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _user(home: Path, where: Places) -> str | None:
    """The account that runs the interpreter of `home`; None for whoever asks."""
    return where.account if where.for_root and where.runtime in home.parents else None


def _probe(executable: Path, user: str | None = None) -> dict[str, Any] | None:
    """What an interpreter says of itself; None where that account can't run it."""
    as_account: dict[str, Any] = {}
    if user:
        account = pwd.getpwnam(user)
        as_account = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    try:
        answer = subprocess.run(
            [executable, "-I", "-c", _PROBE],
            check=True,
            capture_output=True,
            text=True,
            timeout=30,
            cwd="/",
            env=environment(),
            **as_account,
        ).stdout
        return dict(json.loads(answer))
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
