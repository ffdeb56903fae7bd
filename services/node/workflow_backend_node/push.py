"""A prepared home in the place of the one that a host has, or lost.

A request's `action` is one of these:

- `look` tells what is there: a home, what its validator signed last, whether its app runs;
- `unpack` makes the home of an archive beside its place; the node may run;
- `swap` moves the old home aside and the new one in its place; the node is stopped;
- `clear` moves the old home aside, for one that is to be made anew;
- `first_start` says what holds for the first start of a home that was made anew;
- `synced` ends the state sync of such a home.

Each may be asked for again after it was cut short. What the validator has signed is never lowered:
the highest of the old home's, the archive's and what its peers have seen holds.
"""

import hashlib
import json
import shutil
import sys
import tarfile
import tempfile
from base64 import b64decode
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from workflow_backend_node import first_start
from workflow_backend_node.asking import Object, Refused, as_json, parse, run, write_private
from workflow_backend_node.comet import listener
from workflow_backend_node.first_start import FirstStart
from workflow_backend_node.identity import STATE, VALIDATOR_KEY, highest
from workflow_backend_node.toml import read_toml

PUSHED = ".cometbft.pushed"
MARK = "pushed.json"
ASIDE = ".cometbft.before-recovery"


@dataclass(frozen=True)
class Look:
    """The home, and the app's socket where the home can't tell it."""

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
    """`seen` is the signing state that peers have seen the chain at, None where none was asked."""

    action: str
    home: str
    sha256: str
    seen: Object | None
    check_blocks: int


@dataclass(frozen=True)
class Started:
    """A home that was made anew, and what holds for its first start."""

    action: str
    home: str
    check_blocks: int
    state_sync: Object


def answer(request: Object, check: bool) -> Object:
    """Do what the request's action says; raises `Refused`."""
    match request.get("action"):
        case "look":
            return look(parse(Look, request, "look"))
        case "unpack":
            return unpack(parse(Unpack, request, "unpack"), check)
        case "swap":
            return swap(parse(Swap, request, "swap"), check)
        case "clear":
            return clear(parse(Look, request, "clear"), check)
        case "first_start":
            return started(parse(Started, request, "first_start"), check)
        case "synced":
            wanted = parse(Look, request, "synced")
            return {"changed": not check and first_start.synced(Path(wanted.home))}
        case other:
            raise Refused(f"action is {other!r}, which is none of this program")


def look(wanted: Look) -> Object:
    """Tell what is there."""
    home = Path(wanted.home)
    key = home / "config" / VALIDATOR_KEY
    public_key = None
    if key.is_file():
        with suppress(ValueError, LookupError, TypeError):
            public_key = b64decode(json.loads(key.read_text())["pub_key"]["value"]).hex()
    return {
        "home": home.exists(),
        "blocks": (home / "data" / "blockstore.db").exists(),
        "signed": _signed(home),
        "public_key": public_key,
        "running": home.exists() and _runs(home),
        "pushed": _mark(home),
        "under_way": (home / first_start.NAME).exists(),
    }


def unpack(wanted: Unpack, check: bool) -> Object:
    """Make the home beside its place; one of the same archive that is there already is kept."""
    home, archive = Path(wanted.home), Path(wanted.archive)
    place = home.with_name(PUSHED)
    if (_mark(home) or {}).get("sha256") == wanted.sha256:
        return {"changed": [], "place": str(place)}
    with archive.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != wanted.sha256:
            raise Refused(f"{archive} is not the archive of the sum {wanted.sha256}: copy it again")
    if check:
        return {"changed": [str(place)], "place": str(place)}
    for left in (place, *home.parent.glob(".unpacked.*")):
        shutil.rmtree(left, ignore_errors=True)
    beside = Path(tempfile.mkdtemp(prefix=".unpacked.", dir=home.parent))  # 0700
    try:
        _extract(archive, wanted.top, beside)
        if look(Look("look", str(beside)))["public_key"] != wanted.public_key:
            raise Refused(f"{archive} holds another validator's key than {wanted.public_key}")
        for name in ("node_key.json", VALIDATOR_KEY):
            (beside / "config" / name).chmod(0o600)
        (beside / first_start.NAME).unlink(missing_ok=True)
        write_private(beside / MARK, as_json({"sha256": wanted.sha256}))
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
                    raise Refused(f"{archive} holds {member.name!r}, which is no file")
                target = folder / inside
                if member.isdir():
                    target.mkdir(mode=0o700, parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                source = tar.extractfile(member)
                with target.open("xb") as file:
                    if source:
                        shutil.copyfileobj(source, file, 1 << 20)
                target.chmod(0o600)
    except (tarfile.TarError, EOFError) as error:
        raise Refused(f"{archive} is truncated or damaged: {error}") from error


def swap(wanted: Swap, check: bool) -> Object:
    """Put the new home in its place; once it is there, nothing is left to do."""
    home = Path(wanted.home)
    place = home.with_name(PUSHED)
    mark = _mark(home)
    if mark is None:
        at_home = _read(home / MARK)
        if (at_home or {}).get("sha256") != wanted.sha256:
            raise Refused(f"{place} holds no home: unpack the archive first")
        return {"changed": [], "aside": None, "signed": _signed(home)}
    if mark["sha256"] != wanted.sha256:
        raise Refused(f"{place} is of another archive: unpack this one first")
    if home.exists() and _runs(home):
        raise Refused(f"the app of {home} runs: stop the node first")
    aside = _aside(home) if home.exists() else None
    state = _highest(home, place, wanted.seen)
    if check:
        return {"changed": [str(home)], "aside": aside and str(aside), "signed": state}
    (place / "data").mkdir(mode=0o700, exist_ok=True)
    write_private(place / "data" / STATE, as_json(state))
    _say_first_start(place, state, wanted.check_blocks, {})
    if aside:
        home.rename(aside)
    place.rename(home)
    return {"changed": [str(home)], "aside": aside and str(aside), "signed": state}


def _highest(home: Path, place: Path, seen: Object | None) -> Object:
    """The signing state that holds; raises `Refused` where it is lost and nobody knows it."""
    # A home that an earlier run moved aside, before it was cut short, counts as well.
    homes = [home, place, *home.parent.glob(f"{ASIDE}*")]
    found = [state for state in (_signed(one) for one in homes) if state is not None]
    if _signed(place) is None and seen is None and (place / "data" / "blockstore.db").exists():
        raise Refused(f"{place} has blocks and lost {STATE}, and no peer can tell what was signed")
    return highest([*found, *([seen] if seen else [])])


def clear(wanted: Look, check: bool) -> Object:
    """Move the old home aside; answer with the highest that any home here has signed."""
    home = Path(wanted.home)
    if home.exists() and _runs(home):
        raise Refused(f"the app of {home} runs: stop the node first")
    aside = _aside(home) if home.exists() else None
    if aside and not check:
        home.rename(aside)
    homes = [home, *home.parent.glob(f"{ASIDE}*")]
    found = [state for state in (_signed(one) for one in homes) if state is not None]
    return {
        "changed": [str(home)] if aside else [],
        "aside": aside and str(aside),
        "signed": highest(found) if found else None,
    }


def started(wanted: Started, check: bool) -> Object:
    """Say what holds for the first start, in a home without blocks."""
    home = Path(wanted.home)
    state = _signed(home)
    if state is None:
        raise Refused(f"{home} has no {STATE}")
    if not check:
        _say_first_start(home, state, wanted.check_blocks, wanted.state_sync)
    return {"changed": [str(home / first_start.NAME)]}


def _say_first_start(home: Path, state: Object, check_blocks: int, state_sync: Object) -> None:
    if check_blocks or state_sync:
        first_start.write(home, FirstStart(int(state["height"]), check_blocks, state_sync))


def refuse_half_pushed(home: Path) -> None:
    """Raise `Refused` while a home waits beside its place and there is none in it."""
    if not home.exists() and _mark(home):
        raise Refused(
            f"{home.with_name(PUSHED)} was to be put in the place of {home}, and was cut short: "
            "run push-home.yml again"
        )


def _aside(home: Path) -> Path:
    return home.with_name(f"{ASIDE}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")


def _signed(home: Path) -> Object | None:
    return _read(home / "data" / STATE)


def _mark(home: Path) -> Object | None:
    return _read(home.with_name(PUSHED) / MARK)


def _read(path: Path) -> Object | None:
    try:
        found: Object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError, NotADirectoryError:
        return None
    except ValueError as error:
        raise Refused(f"{path} is not JSON: {error}") from error
    return found


def _runs(home: Path) -> bool:
    """Whether the app of a home listens; a home that can't tell has none that runs."""
    path = home / "config" / "config.toml"
    if not path.is_file():
        return False
    socket = str(read_toml(path).get("proxy_app", "")).removeprefix("unix://")
    return listener(socket, Path("/proc/self/net/unix").read_text(encoding="utf-8")) is not None


if __name__ == "__main__":
    sys.exit(run(answer))
