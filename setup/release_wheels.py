"""The wheels of a release: those of the locked requirements, and our own."""

from __future__ import annotations

import email.parser
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

from environments import ENVIRONMENTS, Distribution
from places import Places
from steps import file_digest, is_made, mark_made, remove, run, step
from uv import Uv

TOOLS = ("postgres", "uv")

# A host may be as old as Debian 12, whose C library is 2.36.
_LIBRARIES = ("2_35", "2_34", "2_31", "2_28", "2_27", "2_24", "2_17", "2_12", "2_5")
_PLATFORMS = [f"manylinux_{number}_x86_64" for number in _LIBRARIES]
_PLATFORMS += [f"manylinux{name}_x86_64" for name in ("2014", "2010", "1")]
# The first moment that a zip archive can hold: no wheel says when it was built.
_EPOCH = "315532800"


def fetch(where: Places) -> Path:
    """Download every wheel that the locked requirements name and return their folder."""
    folder = where.cache / "release" / "wheels"
    names = (*ENVIRONMENTS, *TOOLS)
    made_from = {name: file_digest(where.requirements / f"{name}.txt") for name in names}
    if is_made(folder, made_from):
        return folder
    with step("Wheels of the release"):
        fresh = folder.with_name("wheels.new")
        remove(fresh)
        for name in names:
            run(
                [
                    *(where.cache / "uv" / "bin" / "python", "-m", "pip", "download", "--quiet"),
                    *("--no-input", "--require-hashes", "--only-binary", ":all:", "--no-deps"),
                    *("--implementation", "cp", "--python-version", "3.14"),
                    *(part for tag in ("cp314", "abi3", "none") for part in ("--abi", tag)),
                    *(part for tag in _PLATFORMS for part in ("--platform", tag)),
                    *("--dest", fresh / name, "-r", where.requirements / f"{name}.txt"),
                ],
                what=f"the wheels of {name} can't be downloaded",
                log=where.log(f"wheels-{name}"),
            )
        remove(folder)
        fresh.rename(folder)
    mark_made(folder, made_from)
    return folder


def build(where: Places, uv: Uv, distribution: Distribution, folder: Path) -> Path:
    """Build one of our own wheels into `folder`; the same sources make the same bytes."""
    before = set(folder.glob("*.whl"))
    uv(
        *("build", "--quiet", "--wheel", "--no-create-gitignore", "--out-dir", folder),
        *("--python", where.venv / "bin" / "python"),
        where.repo / distribution.folder,
        what=f"{distribution.name} can't be built",
        log=distribution.name,
        SOURCE_DATE_EPOCH=_EPOCH,
    )
    (made,) = set(folder.glob("*.whl")) - before
    return made


def gather(where: Places, uv: Uv, target: Path) -> dict[str, list[dict[str, str]]]:
    """Put the wheels of both environments and what each is to hold, NAME.txt, in `target`.

    Returns what each environment holds.
    """
    packages = {}
    downloads = fetch(where)
    wheels = target / "wheels"
    wheels.mkdir(parents=True)
    for name, own in ENVIRONMENTS.items():
        needed = sorted((downloads / name).glob("*.whl"))
        for wheel in needed:
            shutil.copyfile(wheel, wheels / wheel.name)
        needed += [build(where, uv, one, wheels) for one in own]
        packages[name] = [describe(wheel) for wheel in needed]
        lines = [f"{p['name']}=={p['version']} --hash=sha256:{p['sha256']}" for p in packages[name]]
        (target / f"{name}.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return packages


def describe(wheel: Path) -> dict[str, str]:
    """Which package a wheel holds, under which licence, and its SHA-256."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n))
        text = archive.read(name).decode("utf-8", "replace")
    metadata = email.parser.HeaderParser().parsestr(text)
    return {
        "name": re.sub(r"[-_.]+", "-", str(metadata["Name"])).lower(),
        "version": str(metadata["Version"]),
        "sha256": file_digest(wheel),
        **_licence(metadata),
    }


def _licence(metadata: Any) -> dict[str, str]:
    """The licence as SPDX writes it, or else in the package's own words, where it says any."""
    expression = metadata["License-Expression"]
    if expression:
        return {"licence_expression": str(expression)}
    text = str(metadata["License"] or "").strip()
    if text and len(text.splitlines()) == 1 and text != "UNKNOWN":
        return {"licence": text}
    classifiers = [text for text in metadata.get_all("Classifier", []) if "License ::" in text]
    return {"licence": classifiers[0].split(" :: ")[-1]} if classifiers else {}


def tool(where: Places, name: str) -> dict[str, str]:
    """Which package the one wheel of a tool holds."""
    (wheel,) = (fetch(where) / name).glob("*.whl")
    return describe(wheel)


def unpack(where: Places, name: str, target: Path, unwanted: str = "") -> None:
    """Unpack the one wheel of a tool to `target`, without the files below `unwanted`."""
    (wheel,) = (fetch(where) / name).glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if member.is_dir() or (unwanted and member.filename.startswith(unwanted)):
                continue
            path = Path(archive.extract(member, target))
            path.chmod(0o755 if member.external_attr >> 16 & 0o100 else 0o644)


def unpack_uv(where: Places, target: Path) -> None:
    """Take the program uv out of its wheel."""
    scratch = target.with_name("uv.new")
    unpack(where, "uv", scratch)
    (program,) = scratch.glob("uv-*.data/scripts/uv")
    program.replace(target)
    remove(scratch)
