"""CPython for a release: made for the folder that it will have on every host."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cpython
import debian
from places import Places
from steps import STAMP, SetupError, file_digest, is_made, mark_made, remove, run, step
from uv import Uv

# What is in Debian's packages and no program of a release asks for.
_UNUSED = ("etc", "var", "usr/sbin", "usr/lib/python3", "usr/lib/binfmt.d")
_UNUSED_SHARED = "usr/lib/*/gconv"
_UNUSED_IN_UV = ("include", "share", "lib/pkgconfig", "lib/tcl*", "lib/tk*", "lib/itcl*")


@dataclass(frozen=True)
class Interpreter:
    """An interpreter that waits in the cache to be placed: which one it is and what it is from."""

    folder: Path
    program: str
    way: str
    version: str
    packages: dict[str, str]
    made_from: dict[str, Any]


def fetch(where: Places, uv: Uv) -> Interpreter:
    """Unpack and compile an interpreter, the one that the tools of this clone came with.

    One that is the machine's own can't be moved: then another is fetched.
    """
    folder = where.cache / "release" / "python"
    if not debian.is_fetched(where):
        relocatable = cpython.relocatable(where) or _from_uv(where, uv)
        if relocatable:
            return _of_uv(where, relocatable, folder)
    packages = debian.fetch(where, uv)
    return _of_debian(where, packages, folder)


def place(where: Places, uv: Uv, interpreter: Interpreter, target: Path, home: Path) -> None:
    """Copy it to `target` so that it works in `home`, where it will be one day."""
    shutil.copytree(interpreter.folder, target, symlinks=True)
    (target / STAMP).unlink()
    if interpreter.way == "Debian":
        debian.fit(where, uv, target, home)


def _of_debian(where: Places, packages: dict[str, str], folder: Path) -> Interpreter:
    made_from = {"packages": packages, "by": _own_digest()}
    if not is_made(folder, made_from):
        with step("CPython of the release from Debian's packages"):
            debian.unpack(where, folder)
            for unused in _UNUSED:
                remove(folder / unused)
            for found in folder.glob(_UNUSED_SHARED):
                remove(found)
            _keep_licences(folder / "usr" / "share")
            for path in folder.rglob("*"):
                # A link to a file of the host would make each host's interpreter another one.
                if path.is_symlink() and path.readlink().is_absolute():
                    path.unlink()
            loader = debian.loader(folder)
            program = folder / debian.PROGRAM
            _compile(
                where,
                [loader, "--library-path", loader.parent, program],
                folder,
                "usr/lib/python3.14",
                PYTHONHOME=str(folder / "usr"),
            )
        mark_made(folder, made_from)
    (name,) = (name for name in packages if name.startswith("python3.14_"))
    version = name.split("_")[1].split("-")[0]
    return Interpreter(folder, debian.PROGRAM, "Debian", version, packages, made_from)


def _of_uv(where: Places, source: Path, folder: Path) -> Interpreter:
    program = f"bin/python{cpython.SERIES}"
    version = cpython.version(source / program)
    made_from = {"program": file_digest(source / program), "by": _own_digest()}
    if not is_made(folder, made_from):
        with step("CPython of the release from uv"):
            remove(folder)
            shutil.copytree(source, folder, symlinks=True, ignore=_compiled)
            for pattern in _UNUSED_IN_UV:
                for found in filter(Path.is_dir, folder.glob(pattern)):
                    remove(found)
            library = f"lib/python{cpython.SERIES}"
            for path in (folder / library).glob("_sysconfigdata*.py"):
                # uv writes the place of its own installation there.
                text = path.read_text(encoding="utf-8").replace(str(source), "/install")
                path.write_text(text, encoding="utf-8")
            _compile(where, [folder / program], folder, library)
        mark_made(folder, made_from)
    return Interpreter(folder, program, "uv", version, {}, made_from)


def _from_uv(where: Places, uv: Uv) -> Path | None:
    try:
        with step(f"CPython {cpython.SERIES} from uv"):
            return cpython.from_uv(where, uv)
    except SetupError:
        return None  # Debian's packages are next, and theirs is the error to report


def _compile(
    where: Places, python: list[str | Path], folder: Path, library: str, **extra: str
) -> None:
    """Compile the standard library: the accounts of a host can't write the compiled files."""
    run(
        [
            # Else what it imports is compiled by the import, by time, and then left as it is.
            *(*python, "-B", "-m", "compileall", "-q"),
            # Such files hold no time, and Python takes them without a look at the source; and no
            # place of this clone, which Python replaces by the true one anyway.
            *("--invalidation-mode", "unchecked-hash", "-s", folder, "-p", "/python"),
            folder / library,
        ],
        what="the standard library can't be compiled",
        log=where.log("python"),
        extra={"PYTHONHASHSEED": "0", **extra},
    )


def _keep_licences(share: Path) -> None:
    """Of what is in usr/share, only each package's licence goes with a release."""
    for path in sorted(share.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.name != "copyright":
            path.unlink()


def _compiled(_: str, names: list[str]) -> set[str]:
    return {"__pycache__"} & set(names)


def _own_digest() -> str:
    return file_digest(Path(__file__))
