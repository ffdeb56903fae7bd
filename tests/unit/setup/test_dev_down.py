"""`make dev-down`: what is the stack's ends and goes, and nothing else does."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Self, cast

import pytest

from clean import command_of
from dev_down import take_down
from places import Places

SLEEP = Path(shutil.which("sleep") or "/bin/sleep").resolve()


@pytest.fixture
def where(tmp_path: Path) -> Places:
    repo = tmp_path / "repo"
    where = Places(repo, "me", repo / ".cache/runtime", repo / ".dev", repo / ".dev/run")
    for folder in (where.runtime, where.venv, where.data, where.run):
        folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(SLEEP, where.runtime / "program")
    shutil.copy(SLEEP, where.venv / "program")
    return where


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait(timeout=10)


def test_programs_of_the_stack_end_and_its_data_goes(
    where: Places, started: list[subprocess.Popen[bytes]]
) -> None:
    supervisor, orphan = (
        subprocess.Popen([where.runtime / "program", "600"], cwd=folder)
        for folder in (where.data, where.run)
    )
    # Run by the same user from the same clone, but no part of the stack.
    tool = subprocess.Popen([where.venv / "program", "600"], cwd=where.repo)
    test = subprocess.Popen([where.runtime / "program", "600"], cwd=where.repo)
    started += [supervisor, orphan, tool, test]
    (where.run / "supervisord.pid").write_text(f"{supervisor.pid}\n")
    take_down(where)
    assert supervisor.wait(timeout=10) == -15  # asked to end, as it stops its programs in order
    assert orphan.wait(timeout=10) == -9
    assert (tool.poll(), test.poll()) == (None, None)
    assert not where.dev.exists()
    assert where.venv.exists()
    assert where.cache.exists()


def test_pid_that_went_to_another_program_is_left_alone(
    where: Places, started: list[subprocess.Popen[bytes]]
) -> None:
    stranger = subprocess.Popen([SLEEP, "600"], cwd=where.data)
    started.append(stranger)
    (where.run / "supervisord.pid").write_text(f"{stranger.pid}\n")
    take_down(where)
    assert stranger.poll() is None


class InAnExec:
    """A process that the kernel shows no command of, until it has been asked three times."""

    def __init__(self) -> None:
        self.answers = [b"", b"", b"/tools/program\0-c\0"]

    def __truediv__(self, name: str) -> Self:
        assert name in {"cmdline", "exe"}
        return self

    def read_bytes(self) -> bytes:
        return self.answers.pop(0)

    def readlink(self) -> str:
        return "/tools/program"


def test_process_in_the_middle_of_an_exec_is_asked_again() -> None:
    assert command_of(cast("Path", InAnExec())) == [b"/tools/program", b"-c", b""]


def test_dev_down_can_be_repeated(where: Places, capsys: pytest.CaptureFixture[str]) -> None:
    take_down(where)
    output = capsys.readouterr().out
    assert f"{where.dev} will be removed" in output
    assert output.count("will be removed") == 1  # the sockets' folder lies in it
    take_down(where)
    assert capsys.readouterr().out.startswith("Nothing to remove.")


def test_dev_down_names_only_tools_that_exist(
    where: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    take_down(where)
    assert f"Removed. {where.venv} and {where.cache} stay.\n" in capsys.readouterr().out
    shutil.rmtree(where.venv)
    take_down(where)
    assert capsys.readouterr().out == f"Nothing to remove. {where.cache} stays.\n"
    shutil.rmtree(where.cache)
    take_down(where)
    assert capsys.readouterr().out == "Nothing to remove.\n"
