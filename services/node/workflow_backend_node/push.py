"""Puts a prepared home in the place of the one that a host has, or has lost.

A request's `action` is one of these:

- `status` returns what is there: a home, what its validator signed last, whether its app runs;
- `unpack` makes the home of an archive beside its place; the node may run;
- `swap` moves the old home aside and the new one in its place; the node is stopped.

Each can be repeated after it was interrupted. The signing state is never lowered: the highest of
the old home's, the archive's and what the peers have seen is kept.
"""

import hashlib
import shutil
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from workflow_backend_node import first_start, homes, identity, signing_state
from workflow_backend_node.identity import NODE_KEY, VALIDATOR_KEY
from workflow_backend_node.requests import Object, Refused, as_json, parse, run, write_private

ROOM = 1 << 30
"""Bytes that have to stay free on the disk: a full one stops the node, which may run meanwhile."""


@dataclass(frozen=True)
class Status:
    """The home."""

    action: str
    home: str


@dataclass(frozen=True)
class Unpack:
    """`top` is the folder in the archive that is the home, empty where that is the archive."""

    action: str
    home: str
    archive: str
    sha256: str
    top: str
    public_key: str


@dataclass(frozen=True)
class Swap:
    """`seen` is the signing state that peers have seen the chain at, None where none was asked.

    Of the homes that were moved aside the newest `keep` stay.
    """

    action: str
    home: str
    sha256: str
    seen: Object | None
    check_blocks: int
    keep: int


def answer(given: Object, check: bool) -> Object:
    """Do what the request's action says; raises `Refused`."""
    match given.get("action"):
        case "status":
            return homes.status(Path(parse(Status, given, "status").home))
        case "unpack":
            return unpack(parse(Unpack, given, "unpack"), check)
        case "swap":
            return swap(parse(Swap, given, "swap"), check)
        case other:
            raise Refused(f"action is {other!r}, it must be status, unpack or swap")


def unpack(request: Unpack, check: bool) -> Object:
    """Make the home beside its place; one of the same archive that is there already is kept."""
    home, archive = Path(request.home), Path(request.archive)
    place = home.with_name(homes.PUSHED)
    if (homes.mark(home) or {}).get("sha256") == request.sha256:
        return {"changed": [], "place": str(place)}
    with archive.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != request.sha256:
            raise Refused(
                f"{archive} is not the archive of the sum {request.sha256}: copy it again"
            )
    if check:
        return {"changed": [str(place)], "place": str(place)}
    for left in (place, *home.parent.glob(".unpacked.*")):
        shutil.rmtree(left, ignore_errors=True)
    beside = Path(tempfile.mkdtemp(prefix=".unpacked.", dir=home.parent))  # 0700
    try:
        _extract(archive, request.top, beside)
        if homes.status(beside)["public_key"] != request.public_key:
            raise Refused(f"{archive} holds another validator's key than {request.public_key}")
        identity.require(beside / "config")
        signing_state.of(beside)
        for name in (NODE_KEY, VALIDATOR_KEY):
            (beside / "config" / name).chmod(0o600)
        (beside / first_start.NAME).unlink(missing_ok=True)
        write_private(beside / homes.MARK, as_json({"sha256": request.sha256}))
        beside.rename(place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)  # gone already when all went well
    return {"changed": [str(place)], "place": str(place)}


def _extract(archive: Path, top: str, folder: Path) -> None:
    """Write plain files and folders, and nothing else: who asks has looked it through before."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                if not path.is_relative_to(top):
                    continue
                inside = path.relative_to(top)
                if ".." in inside.parts or inside.is_absolute():
                    raise Refused(f"{archive} holds {member.name!r}, which leads out of its folder")
                if not (member.isreg() or member.isdir()):
                    raise Refused(f"{archive} holds {member.name!r}, which is not a file")
                target = folder / inside
                if member.isdir():
                    target.mkdir(mode=0o700, parents=True, exist_ok=True)
                    continue
                free = shutil.disk_usage(folder).free
                if free - member.size < ROOM:
                    raise Refused(
                        f"{folder.parent} has {free} bytes free, and the home has more to come: "
                        f"make room, {ROOM} have to stay free"
                    )
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                source = tar.extractfile(member)
                with target.open("xb") as file:
                    if source:
                        shutil.copyfileobj(source, file, 1 << 20)
                target.chmod(0o600)
    except (tarfile.TarError, EOFError) as error:
        raise Refused(f"{archive} is truncated or damaged: {error}") from error


def swap(request: Swap, check: bool) -> Object:
    """Put the new home in its place; once it is there, nothing is left to do."""
    home = Path(request.home)
    place = home.with_name(homes.PUSHED)
    mark = homes.mark(home)
    if mark is None:
        at_home = homes.read(home / homes.MARK)
        if (at_home or {}).get("sha256") != request.sha256:
            raise Refused(f"{place} holds no home: unpack the archive first")
        return _swapped([], None, signing_state.of(home), home)
    if mark["sha256"] != request.sha256:
        raise Refused(f"{place} is of another archive: unpack this one first")
    if home.exists() and homes.runs(home):
        raise Refused(f"the app of {home} runs: stop the node first")
    aside = homes.aside(home) if home.exists() else None
    if signing_state.of(place) is None and request.seen is None and homes.has_blocks(place):
        raise Refused(
            f"{place} has blocks and lost {signing_state.STATE}, and no peer can tell what was "
            "signed"
        )
    state = homes.highest(home, place, seen=request.seen)
    if check:
        return _swapped([str(home)], aside, state, home)
    (place / "data").mkdir(mode=0o700, exist_ok=True)
    write_private(signing_state.place(place), as_json(state))
    homes.note_first_start(place, state, request.check_blocks, {})
    if aside:
        home.rename(aside)
    place.rename(home)
    homes.prune(home, request.keep)
    return _swapped([str(home)], aside, state, home)


def _swapped(changed: list[str], aside: Path | None, state: Object | None, home: Path) -> Object:
    return {
        "changed": changed,
        "aside": aside and str(aside),
        "moved_aside": homes.moved_aside(home),
        "signed": state,
    }


if __name__ == "__main__":
    sys.exit(run(answer))
