"""Whatever an archive holds, nothing of it is unpacked before all of it was looked at."""

import tarfile
from pathlib import Path

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.archives import look_through

from .made import archive

ROOM = 1 << 20


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_what_is_wanted_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    archive(path, {"d": member("d", tarfile.DIRTYPE), "d/a": b"one", "b": b"two" * 99})
    assert look_through(path, most_bytes=ROOM) == {}
    found = look_through(path, most_bytes=ROOM, wanted=("d/a", "b", "c"), limit=4)
    assert found == {"d/a": b"one", "b": b"twot"}


@pytest.mark.parametrize("name", ["../a", "d/../../a", "/etc/a", "..", "d/.."])
def test_a_way_out_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.tar.gz"
    archive(path, {"good": b"", name: b"bad"})
    with pytest.raises(RecoveryRefused, match="leads out of its folder"):
        look_through(path, most_bytes=ROOM)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a device"),
    ],
)
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes, said: str) -> None:
    path = tmp_path / "a.tar.gz"
    archive(path, {"l": member("l", kind, "/etc/passwd")})
    with pytest.raises(RecoveryRefused, match=said):
        look_through(path, most_bytes=ROOM)


def test_every_truncation_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    archive(path, {"a": bytes(range(256)) * 40, "b": b"end"})
    whole = path.read_bytes()
    for length in (0, 5, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(RecoveryRefused, match="truncated or damaged"):
            look_through(path, most_bytes=ROOM)


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    archive(path, {"a": bytes(range(256)) * 40})
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    path.write_bytes(changed)
    with pytest.raises(RecoveryRefused, match="truncated or damaged"):
        look_through(path, most_bytes=ROOM)


def test_a_bomb_is_refused_before_it_goes_off(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    archive(path, {"a": bytes(ROOM + 1)})
    with pytest.raises(RecoveryRefused, match="more than"):
        look_through(path, most_bytes=ROOM)


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    archive(path, {"a": b"one", "second": member("a", tarfile.REGTYPE)})
    with pytest.raises(RecoveryRefused, match="twice"):
        look_through(path, most_bytes=ROOM)
