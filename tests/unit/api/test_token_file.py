"""The file of tokens: changed by several at once, by root, and read while it is broken."""

import fcntl
import json
import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from workflow_backend.api import token_file, tokens
from workflow_backend.api.tokens import Tokens
from workflow_backend.errors import SettingError, TokensUnavailable


def _add(path: Path, name: str) -> None:
    tokens.add(path, name, ["read"])


def test_token_file_keeps_every_token_of_concurrent_adds(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    names = [f"client-{number}" for number in range(24)]
    spawn = multiprocessing.get_context("forkserver")
    with spawn.Pool(8) as pool:
        pool.starmap(_add, [(path, name) for name in names])
    assert set(tokens.list_scopes(path)) == set(names)
    assert {entry.name for entry in tmp_path.iterdir()} == {"tokens.json", ".tokens.json.lock"}


def test_token_file_waits_for_another_change_and_gives_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_file, "LOCK_SECONDS", 0.05)
    path = tmp_path / "tokens.json"
    with (
        token_file.changing(path),
        pytest.raises(SettingError, match="locked by another program"),
    ):
        tokens.add(path, "late", ["read"])
    tokens.add(path, "later", ["read"])


def test_who_may_read_its_folder_keeps_no_token_from_being_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_file, "LOCK_SECONDS", 0.05)
    path = tmp_path / "tokens.json"
    tokens.add(path, "leaked", ["read"])
    folder = os.open(tmp_path, os.O_RDONLY)  # as any account can where the folder is 0755
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        tokens.remove(path, "leaked")
    finally:
        os.close(folder)
    (lock,) = tmp_path.glob(".*")
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600


def test_token_file_stays_as_it_was_when_a_change_fails(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    tokens.add(path, "kept", ["read"])
    before = path.read_bytes()
    with pytest.raises(SettingError, match="has no token 'other'"):
        tokens.remove(path, "other")
    assert path.read_bytes() == before


def test_token_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    tokens.add(path, "first", ["read"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    tokens.add(path, "second", ["read"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.as_root
def test_token_file_keeps_its_owner_when_root_changes_it(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    os.chown(tmp_path, 4242, 4343)
    tokens.add(path, "first", ["read"])
    assert (path.stat().st_uid, path.stat().st_gid) == (4242, 4343)
    os.chown(path, 4244, 4343)
    tokens.add(path, "second", ["read"])
    assert (path.stat().st_uid, path.stat().st_gid) == (4244, 4343)


def test_token_file_is_changed_through_no_link(tmp_path: Path) -> None:
    path, other = tmp_path / "tokens.json", tmp_path / "other.json"
    tokens.add(other, "kept", ["read"])
    path.symlink_to(other)
    with pytest.raises(SettingError, match="can't be read"):
        tokens.add(path, "new", ["read"])
    assert set(tokens.list_scopes(other)) == {"kept"}
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (tmp_path / "other.json.new").symlink_to(victim)
    tokens.add(other, "new", ["read"])
    assert victim.read_text() == "kept"
    (tmp_path / ".other.json.lock").unlink()
    (tmp_path / ".other.json.lock").symlink_to(victim)  # which others may hold
    with pytest.raises(SettingError, match="can't be read"):
        tokens.add(other, "newer", ["read"])


def _garble(path: Path) -> None:
    path.write_text("{")


def _nest(path: Path) -> None:
    path.write_text("[" * 200_000)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _fill(path: Path) -> None:
    with path.open("ab") as file:
        file.truncate(token_file.MAX_BYTES + 1)


@pytest.mark.parametrize("spoil", [_garble, _nest, _pipe, _fill, Path.unlink])
def test_tokens_are_nobodys_while_the_file_is_broken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: object
) -> None:
    path = tmp_path / "tokens.json"
    token = tokens.add(path, "shop", ["read"])
    good = path.read_text()
    known = Tokens(path)
    assert known.principal(token)
    assert callable(spoil)
    spoil(path)
    for _ in range(3):
        with pytest.raises(TokensUnavailable) as error:
            known.principal(token)
        assert str(path) not in error.value.explain()
    (record,) = caplog.records
    assert str(path) in record.getMessage()
    path.unlink(missing_ok=True)
    path.write_text(good)
    assert known.principal(token)
    with pytest.raises(SettingError):
        Tokens(tmp_path / "gone.json")


def test_token_file_names_no_scope_that_there_is_not(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(json.dumps({"tokens": {"a": {"scopes": ["root"], "sha256": "0" * 64}}}))
    with pytest.raises(SettingError, match="is not a token file"):
        tokens.list_scopes(path)
