"""A home that is pushed: whole or not at all, the old one kept, and nothing signed is forgotten."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from workflow_backend_node import first_start, home, homes, push
from workflow_backend_node.requests import Refused

type Request = dict[str, Any]

SEEN = {"height": "500", "round": 0, "step": 3}


def state(height: int) -> str:
    return json.dumps({"height": str(height), "round": 0, "step": 3, "signature": "c2ln"})


@pytest.fixture
def prepared(founded: Path, tmp_path: Path) -> Path:
    """A home of alpha's with blocks, prepared elsewhere."""
    folder = tmp_path / "prepared"
    for name in ("config", "data", "xian/lmdb"):
        (folder / name).mkdir(parents=True)
    for file in (founded / "hosts" / "alpha").iterdir():
        (folder / "config" / file.name).write_text(file.read_text())
    (folder / "data" / "blockstore.db").mkdir()
    (folder / "data" / "priv_validator_state.json").write_text(state(100))
    (folder / "xian" / "lmdb" / "data.mdb").write_text("state")
    return folder


@pytest.fixture
def request_(founded: Path, prepared: Path, tmp_path: Path) -> Request:
    public = json.loads((founded / "network.json").read_text())
    archive = tmp_path / "home.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(prepared, ".cometbft")
    (tmp_path / "node").mkdir()
    return {
        "action": "unpack",
        "home": str(tmp_path / "node" / ".cometbft"),
        "archive": str(archive),
        "sha256": digest(archive),
        "top": ".cometbft",
        "public_key": public["hosts"]["alpha"]["public_key"],
    }


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def do(request: Request, action: str, *names: str, **more: Any) -> Request:
    given = {name: request[name] for name in ("home", *names)}
    return push.answer({"action": action, **given, **more}, check=False)


def swap(request: Request, seen: Request | None = SEEN, check_blocks: int = 3) -> Request:
    return do(request, "swap", "sha256", seen=seen, check_blocks=check_blocks, keep=2)


def old_home(request: Request, height: int) -> Path:
    place = Path(request["home"])
    (place / "data").mkdir(parents=True)
    (place / "data" / "priv_validator_state.json").write_text(state(height))
    (place / "old").touch()
    return place


def test_lost_home_is_back_and_signs_nothing_that_peers_have_seen(request_: Request) -> None:
    push.answer(request_, check=False)
    assert swap(request_)["aside"] is None
    place = Path(request_["home"])
    assert (place / "xian" / "lmdb" / "data.mdb").read_text() == "state"
    assert (place / "config" / "priv_validator_key.json").stat().st_mode & 0o777 == 0o600
    found = do(request_, "status")
    assert (found["signed"], found["blocks"], found["running"]) == (SEEN, True, False)
    assert found["highest"] == 500
    first = first_start.read(place)
    assert first is not None
    assert (first.signed, first.check_blocks) == (500, 3)


def test_disk_that_the_node_needs_is_not_filled(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "ROOM", 1 << 60)
    with pytest.raises(Refused, match="make room"):
        push.answer(request_, check=False)
    assert [path.name for path in Path(request_["home"]).parent.iterdir()] == []


def test_restore_in_progress_is_reported(request_: Request) -> None:
    assert do(request_, "status")["restoring"] is False
    journal = Path(request_["home"]).parent / "restore" / "journal.json"
    journal.parent.mkdir()
    journal.write_text("{}")
    assert do(request_, "status")["restoring"] is True


@pytest.mark.parametrize(("old", "expected"), [(900, "900"), (400, "500")])
def test_highest_signature_holds(request_: Request, old: int, expected: str) -> None:
    old_home(request_, old)
    push.answer(request_, check=False)
    answer = swap(request_)
    assert (Path(answer["aside"]) / "old").exists()
    assert do(request_, "status")["highest"] == int(expected)
    assert not (Path(request_["home"]) / "old").exists()
    assert answer["signed"]["height"] == expected
    assert ("signature" in answer["signed"]) == (expected == "900")


def test_old_signing_state_that_cannot_be_read_needs_a_peer(request_: Request) -> None:
    place = old_home(request_, 900)
    (place / "data" / "priv_validator_state.json").write_text("{}")
    assert "has no height" in do(request_, "status")["unreadable"][0]
    push.answer(request_, check=False)
    with pytest.raises(Refused, match="it may sign twice"):
        swap(request_, None, 0)
    assert swap(request_)["signed"]["height"] == "500"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config/node_key.json", "node_key.json"),
        ("config/genesis.json", "genesis.json"),
        ("data/priv_validator_state.json", "priv_validator_state.json"),
    ],
)
def test_home_with_a_file_cut_short_is_refused_before_it_waits(
    request_: Request, prepared: Path, name: str, message: str
) -> None:
    content = (prepared / name).read_bytes()
    (prepared / name).write_bytes(content[: len(content) // 2])
    archive = Path(request_["archive"])
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(prepared, ".cometbft")
    request_["sha256"] = digest(archive)
    with pytest.raises(Refused, match=message):
        push.answer(request_, check=False)
    assert [path.name for path in Path(request_["home"]).parent.iterdir()] == []


def test_archive_ahead_of_its_peers_keeps_its_own(request_: Request) -> None:
    push.answer(request_, check=False)
    assert swap(request_, {**SEEN, "height": "7"})["signed"]["height"] == "100"


def test_bounded_number_of_old_homes_stays_and_what_they_signed_holds(
    request_: Request,
) -> None:
    place = old_home(request_, 900)
    for number in range(3):
        old = place.with_name(f"{homes.ASIDE}-{number}") / "data"
        old.mkdir(parents=True)
        (old / "priv_validator_state.json").write_text(state(2000 - number))
    push.answer(request_, check=False)
    answer = swap(request_)
    assert answer["moved_aside"] == [f"{place.with_name(homes.ASIDE)}-2", answer["aside"]]
    assert answer["signed"]["height"] == "2000"


def test_push_without_proof_checks_no_blocks(request_: Request) -> None:
    push.answer(request_, check=False)
    swap(request_, None, 0)
    assert first_start.read(Path(request_["home"])) is None


def test_cut_short_it_goes_on(request_: Request, home_request: Request) -> None:
    old_home(request_, 900)
    push.answer(request_, check=False)
    assert push.answer(request_, check=False)["changed"] == []
    place = Path(request_["home"])
    place.rename(place.with_name(f"{homes.ASIDE}-1"))  # killed between the two renames
    with pytest.raises(Refused, match=r"run push-home\.yml again"):
        home.bring(home_request, check=False)
    assert swap(request_)["signed"]["height"] == "900"
    assert swap(request_)["changed"] == []


def test_rehearsal_writes_nothing(request_: Request, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    push.answer(request_, check=True)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [
        ("../out", tarfile.REGTYPE, ""),
        (".cometbft/../../out", tarfile.REGTYPE, ""),
        (".cometbft/link", tarfile.SYMTYPE, "/etc/passwd"),
        (".cometbft/hard", tarfile.LNKTYPE, ".cometbft/config/genesis.json"),
        (".cometbft/device", tarfile.CHRTYPE, ""),
    ],
)
def test_archive_member_that_leads_out_is_refused(
    request_: Request, tmp_path: Path, name: str, kind: bytes, link: str
) -> None:
    archive = Path(request_["archive"])
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, link
        tar.addfile(member, io.BytesIO())
    request_["sha256"] = digest(archive)
    with pytest.raises(Refused):
        push.answer(request_, check=False)
    assert [path.name for path in (tmp_path / "node").iterdir()] == []
    assert not (tmp_path / "out").exists()


def test_other_bytes_another_key_and_half_an_archive_are_refused(request_: Request) -> None:
    with pytest.raises(Refused, match="another validator's key"):
        push.answer({**request_, "public_key": "00"}, check=False)
    with pytest.raises(Refused, match="not the archive of the sum"):
        push.answer({**request_, "sha256": "00"}, check=False)
    archive = Path(request_["archive"])
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(Refused, match="truncated or damaged"):
        push.answer({**request_, "sha256": digest(archive)}, check=False)
    with pytest.raises(Refused, match="unpack the archive first"):
        swap(request_)


def test_blocks_without_what_was_signed_need_a_peer(request_: Request, prepared: Path) -> None:
    (prepared / "data" / "priv_validator_state.json").unlink()
    archive = Path(request_["archive"])
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(prepared, ".cometbft")
    request_["sha256"] = digest(archive)
    push.answer(request_, check=False)
    with pytest.raises(Refused, match="no peer can tell"):
        swap(request_, None)
    assert swap(request_)["signed"] == SEEN


def test_unknown_action_is_refused() -> None:
    with pytest.raises(Refused, match="action is 'x'"):
        push.answer({"action": "x"}, check=False)
