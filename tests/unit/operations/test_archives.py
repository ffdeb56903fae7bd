"""Whatever an archive holds, nothing of it is unpacked before all of it was looked at."""

import tarfile
from pathlib import Path

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations import archives
from workflow_backend.operations.archives import inspect

from .snapshots.samples import END, archive, header, zipped

ROOM = 1 << 20


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_archive_gives_the_named_files(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    archive(path, {"d": member("d", tarfile.DIRTYPE), "d/a": b"one", "b": b"two" * 99})
    assert inspect(path, most_bytes=ROOM) == {}
    found = inspect(path, most_bytes=ROOM, names=("d/a", "b", "c"), limit=4)
    assert found == {"d/a": b"one", "b": b"twot"}


@pytest.mark.parametrize("name", ["../a", "d/../../a", "/etc/a", "..", "d/.."])
def test_way_out_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.tar.gz"
    archive(path, {"good": b"", name: b"bad"})
    with pytest.raises(RecoveryRefused, match="leads out of its folder"):
        inspect(path, most_bytes=ROOM)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a device"),
    ],
)
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes, message: str) -> None:
    path = tmp_path / "a.tar.gz"
    archive(path, {"l": member("l", kind, "/etc/passwd")})
    with pytest.raises(RecoveryRefused, match=message):
        inspect(path, most_bytes=ROOM)


def test_archive_truncated_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    archive(path, {"a": bytes(range(256)) * 40, "b": b"end"})
    whole = path.read_bytes()
    for length in (0, 5, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(RecoveryRefused, match="truncated or damaged"):
            inspect(path, most_bytes=ROOM)


def test_changed_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    archive(path, {"a": bytes(range(256)) * 40})
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    path.write_bytes(changed)
    with pytest.raises(RecoveryRefused, match="truncated or damaged"):
        inspect(path, most_bytes=ROOM)


def test_bomb_is_refused_before_it_goes_off(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    archive(path, {"a": bytes(ROOM + 1)})
    with pytest.raises(RecoveryRefused, match="more than"):
        inspect(path, most_bytes=ROOM)


def test_name_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    archive(path, {"a": b"one", "second": member("a", tarfile.REGTYPE)})
    with pytest.raises(RecoveryRefused, match="twice"):
        inspect(path, most_bytes=ROOM)


LONG = 17 << 10
KINDS = [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE]


@pytest.mark.parametrize("kind", KINDS)
def test_header_that_would_be_read_at_once_is_refused_by_its_length(
    tmp_path: Path, kind: bytes
) -> None:
    path = tmp_path / "a.tar.gz"
    text = b"%d comment=%s\n" % (LONG, b"a" * (LONG - 15))
    zipped(path, header("h", kind, LONG), text + bytes(-len(text) % 512), header("b"), END)
    with pytest.raises(RecoveryRefused, match="header, or an end, that is longer"):
        inspect(path, most_bytes=ROOM)


def test_headers_of_one_member_are_bounded_together(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    long_name = header("h", tarfile.GNUTYPE_LONGNAME, 4) + b"name" + bytes(508)
    zipped(path, long_name * 2000, header("b"), END)
    with pytest.raises(RecoveryRefused, match="header, or an end, that is longer"):
        inspect(path, most_bytes=ROOM)


def test_archive_end_behind_the_last_member_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    zipped(path, header("b"), END, bytes(1 << 19))
    assert inspect(path, most_bytes=ROOM) == {}
    zipped(path, header("b"), END, bytes(2 << 20))
    with pytest.raises(RecoveryRefused, match="header, or an end, that is longer"):
        inspect(path, most_bytes=ROOM)


def test_members_and_their_names_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tar.gz"
    archive(path, {f"{number:03}": b"" for number in range(20)})
    assert inspect(path, most_bytes=ROOM) == {}
    with monkeypatch.context() as patched:
        patched.setattr(archives, "MEMBERS", 19)
        with pytest.raises(RecoveryRefused, match="more than 19 files and folders"):
            inspect(path, most_bytes=ROOM)
    with monkeypatch.context() as patched:
        patched.setattr(archives, "_NAMES", 59)
        with pytest.raises(RecoveryRefused, match="names that are longer together"):
            inspect(path, most_bytes=ROOM)
    archive(path, {"a" * 4097: b""})
    with pytest.raises(RecoveryRefused, match="a name of 4097 characters"):
        inspect(path, most_bytes=ROOM)


def test_its_time_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tar.gz"
    archive(path, {"a": b"one"})
    monkeypatch.setattr(archives, "_SECONDS", -1.0)
    with pytest.raises(RecoveryRefused, match="takes more than"):
        inspect(path, most_bytes=ROOM)


def test_sparse_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    zipped(path, header("b", tarfile.GNUTYPE_SPARSE), END)
    with pytest.raises(RecoveryRefused, match="a device or the like"):
        inspect(path, most_bytes=ROOM)
