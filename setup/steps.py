"""What every step of the set-up shares: errors, programs run, stamps, and what is printed."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

STAMP = ".made-from.json"

# Settings of the caller's own shell that would send a tool to another Python than the one named.
_MISLEADING = (
    "CONDA_PREFIX",
    "PIP_TARGET",
    "PIP_USER",
    "PYTHONHOME",
    "PYTHONPATH",
    "UV_PROJECT_ENVIRONMENT",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "VIRTUAL_ENV",
)
_UNREACHABLE = (
    "dns error",
    "name or service not known",
    "temporary failure",
    "could not resolve",
    "no such host",
    "connection refused",
    "connection reset",
    "network is unreachable",
    "error sending request",
    "newconnectionerror",
    "dial tcp",
    "timed out",
)

_running: set[subprocess.Popen[str]] = set()
_running_lock = threading.Lock()
_stopping = threading.Event()


class SetupError(Exception):
    """The set-up can't go on: what is wrong, and what a person does about it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"error: {self.what}: do this: {self.remedy}"


def install_command(package: str) -> str:
    """The command that installs a system package for whoever is asking."""
    return f"{'' if os.geteuid() == 0 else 'sudo '}apt-get install {package}"


def say(line: str) -> None:
    """Print a line at once; the build of CometBFT prints from a thread of its own."""
    print(line, flush=True)


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Print what was done and how long it took, once it is done."""
    began = time.monotonic()
    yield
    say(f"{what} ({time.monotonic() - began:.1f} s)")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The caller's environment without what would mislead a tool, and `extra`."""
    kept = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    # An ordinary user's PATH may lack the folders of useradd and of the system's own tools.
    kept["PATH"] = os.pathsep.join((kept.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    kept["LC_ALL"] = "C.UTF-8"
    return {**kept, **(extra or {})}


def run(
    command: Sequence[str | Path],
    *,
    what: str,
    log: Path,
    extra: Mapping[str, str] | None = None,
    timeout: float = 1800,
) -> str:
    """Run a program to its end and return what it printed.

    `what` names the action in an error; the whole output of a failure is written to `log`.
    """
    arguments = [str(part) for part in command]
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd="/",
            env=environment(extra),
        )
    except OSError as error:
        # Where PATH has a folder that is closed, what is in no folder is "Permission denied", too.
        if shutil.which(arguments[0], path=environment(extra)["PATH"]) is None:
            missing = f"{what}: {arguments[0]} is missing"
            raise SetupError(missing, f"install {arguments[0]}") from error
        message = f"{what}: {arguments[0]} can't be started: {error.strerror}"
        raise SetupError(message, "fix that and run the same command again") from error
    with _running_lock:
        _running.add(process)
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        output = process.communicate()[0] + f"\ntimed out after {timeout:.0f} s"
    finally:
        with _running_lock:
            _running.discard(process)
    if process.returncode == 0:
        return output
    if _stopping.is_set():
        raise SetupError(f"{what} was stopped", "run the same command again")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(f"$ {shlex.join(arguments)}\n{output}", encoding="utf-8")
    raise _explained(what, output, log)


def stop_running() -> None:
    """End the programs that other threads are still waiting for."""
    _stopping.set()
    with _running_lock:
        for process in _running:
            process.terminate()


def _explained(what: str, output: str, log: Path) -> SetupError:
    text = output.lower()
    if "no space left on device" in text or "disk quota exceeded" in text:
        return SetupError(f"{what}: the disk is full", "free 4 GB and run the same command again")
    if any(sign in text for sign in _UNREACHABLE):
        return SetupError(
            f"{what}: the place it is downloaded from can't be reached",
            f"check the network and the proxy settings and run again (details: {log})",
        )
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return SetupError(f"{what}: {lines[-1] if lines else 'it failed silently'}", f"read {log}")


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree_digest(root: Path, folders: Sequence[str], files: Sequence[str]) -> str:
    """SHA-256 over names and contents of `files` and of everything in `folders` below `root`."""
    paths = [root / name for name in files]
    for folder in folders:
        paths += [
            path
            for path in (root / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        ]
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(root)}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()


def is_made(folder: Path, made_from: object, name: str = STAMP) -> bool:
    """Whether what is in `folder` was made, to its end, from `made_from`."""
    try:
        return bool(json.loads((folder / name).read_text(encoding="utf-8")) == made_from)
    except (OSError, ValueError):
        return False


def mark_made(folder: Path, made_from: object, name: str = STAMP) -> None:
    """Write down what `folder` was made from: the last act of making it."""
    write_json(folder / name, made_from)


def unmark(folder: Path, name: str = STAMP) -> None:
    """Forget what `folder` was made from: the first act of changing it."""
    (folder / name).unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write a JSON file so that a reader sees the old one or the new one, never half of it."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never half of it."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def remove(path: Path) -> None:
    """Remove a folder, or nothing where there is none."""
    if path.exists():
        shutil.rmtree(path)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, so that two set-ups at once take turns; it names who holds it.

    An account that may read a file may lock it for as long as it likes, so only the owner may read
    this one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "r+b") as handle:
        if os.fstat(handle.fileno()).st_uid == os.geteuid():
            os.fchmod(handle.fileno(), 0o600)  # an earlier set-up made it readable for all
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = handle.read(100).decode("ascii", "replace").strip() or "unknown"
            say(
                f"Waiting for another set-up in {path.parent} to end: process {holder} "
                f"(ps -fp {holder} shows it). To stop waiting, press Ctrl-C"
            )
            fcntl.flock(handle, fcntl.LOCK_EX)
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()).encode())
        handle.flush()
        yield


def fail(error: SetupError) -> int:
    """Print an error as one line and return the exit code that goes with it."""
    print(" ".join(str(error).split()), file=sys.stderr, flush=True)
    return 1
