"""What every step of the set-up shares."""

import fcntl
import json
import os
import stat
import sys
from pathlib import Path

import pytest

import steps


def failure(tmp_path: Path, script: str) -> steps.SetupError:
    with pytest.raises(steps.SetupError) as caught:
        steps.run([sys.executable, "-c", script], what="the thing", log=tmp_path / "log" / "a.log")
    return caught.value


def test_failed_program_is_one_line_and_a_log(tmp_path: Path) -> None:
    trouble = failure(tmp_path, "print('first'); print('the reason'); raise SystemExit(3)")
    assert str(trouble) == (
        f"error: the thing: the reason: do this: read {tmp_path / 'log' / 'a.log'}"
    )
    assert "first\nthe reason" in (tmp_path / "log" / "a.log").read_text()


def test_lock_can_be_opened_by_its_owner_alone(tmp_path: Path) -> None:
    lock = tmp_path / "made" / "lock"
    lock.parent.mkdir()
    lock.touch(0o666)  # as an earlier set-up left it
    with steps.locked(lock):
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    lock.unlink()
    lock.symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="lock"), steps.locked(lock):
        pass
    assert not (tmp_path / "other").exists()


def test_lock_that_is_held_names_its_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def is_held(_: object, how: int) -> None:
        if how & fcntl.LOCK_NB:
            raise BlockingIOError

    with steps.locked(tmp_path / "lock"):
        assert capsys.readouterr().out == ""
    monkeypatch.setattr(fcntl, "flock", is_held)
    with steps.locked(tmp_path / "lock"):
        output = capsys.readouterr().out
    assert f"Waiting for another set-up in {tmp_path} to end: process {os.getpid()} " in output


@pytest.mark.parametrize(
    ("output", "what"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("cause: dns error", "can't be reached"),
        ("dial tcp 10.0.0.1:443: connect: Connection refused", "can't be reached"),
    ],
)
def test_well_known_cause_is_named(tmp_path: Path, output: str, what: str) -> None:
    trouble = failure(tmp_path, f"print({output!r}); raise SystemExit(1)")
    assert what in trouble.what


def test_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(steps.SetupError, match="no-such-program is missing"):
        steps.run(["no-such-program"], what="the thing", log=tmp_path / "a.log")


def test_missing_program_is_missing_where_path_has_a_closed_folder_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of such a folder the kernel says "Permission denied", to everybody but root."""
    monkeypatch.setenv("PATH", f"{__file__}:/usr/bin")  # a file is as closed, and to root as well
    with pytest.raises(steps.SetupError, match="no-such-program is missing"):
        steps.run(["no-such-program"], what="the thing", log=tmp_path / "a.log")


def test_program_that_can_not_be_started_says_why(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    with pytest.raises(steps.SetupError, match="can't be started: No such file"):
        steps.run([program], what="the thing", log=tmp_path / "a.log")


def test_program_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(steps.SetupError, match="the thing"):
        steps.run(
            [sys.executable, "-c", "import time; time.sleep(600)"],
            what="the thing",
            log=tmp_path / "a.log",
            timeout=0.2,
        )


def test_shell_of_the_caller_does_not_mislead_a_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("VIRTUAL_ENV", "/elsewhere")
    assert "/elsewhere" not in steps.environment().values()


def test_trouble_is_printed_as_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert steps.fail(steps.SetupError("one\ntwo", "three")) == 1
    assert capsys.readouterr().err == "error: one two: do this: three\n"


def test_folder_is_made_only_from_the_same_things(tmp_path: Path) -> None:
    assert not steps.is_made(tmp_path, {"a": 1})
    steps.mark_made(tmp_path, {"a": 1})
    assert steps.is_made(tmp_path, {"a": 1})
    assert not steps.is_made(tmp_path, {"a": 2})
    steps.unmark(tmp_path)
    assert not steps.is_made(tmp_path, {"a": 1})


def test_stamp_cut_short_counts_as_not_made(tmp_path: Path) -> None:
    (tmp_path / steps.STAMP).write_text('{"a": ')
    assert not steps.is_made(tmp_path, {"a": 1})


def test_json_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    steps.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        steps.write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}


def test_digest_of_sources_sees_contents_and_names_only(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (tmp_path / "file").write_text("file")
    (package / "a.py").write_text("a")

    def digest() -> str:
        return steps.tree_digest(tmp_path, ["package"], ["file"])

    first = digest()
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "a.pyc").write_text("compiled")
    assert digest() == first
    (package / "a.py").write_text("b")
    second = digest()
    (package / "a.py").rename(package / "c.py")
    assert len({first, second, digest()}) == 3
