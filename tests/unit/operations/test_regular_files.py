"""Files in folders of other accounts: read where they are plain, refused by name where not."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.regular_files import read_regular_file


def test_reader_returns_a_plain_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    assert read_regular_file(tmp_path / "file", 4) == b"text"
    with pytest.raises(RecoveryRefused, match="larger than 3 bytes"):
        read_regular_file(tmp_path / "file", 3)


def test_reader_says_what_is_missing(tmp_path: Path) -> None:
    for path in (tmp_path / "file", tmp_path / "folder" / "file"):
        with pytest.raises(FileNotFoundError, match=str(tmp_path)):
            read_regular_file(path, 4)


def _link(path: Path) -> None:
    path.symlink_to(path.with_name("secret"))


def _socket(path: Path) -> None:
    os.mknod(path, 0o140600)


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, _link, _socket])
def test_reader_refuses_all_but_regular_files(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (tmp_path / "secret").write_text("of root")
    make(tmp_path / "file")
    with pytest.raises(RecoveryRefused, match=f"{tmp_path}/file is not a regular file"):
        read_regular_file(tmp_path / "file", 100)


@pytest.mark.parametrize("make", [os.mkfifo, _link])
def test_reader_follows_no_link_in_the_place_of_the_folder(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "file").write_text("of root")
    make(tmp_path / "folder")
    with pytest.raises(RecoveryRefused, match=f"{tmp_path}/folder is not a folder"):
        read_regular_file(tmp_path / "folder" / "file", 100)
