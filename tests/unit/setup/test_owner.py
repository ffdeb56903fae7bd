"""Root's clones share one place: one of them can't change or remove the chain of another."""

import subprocess
from pathlib import Path

import pytest

import dev_down
import owner
import places
import toolchain
from places import Places
from steps import SetupError


@pytest.fixture
def clones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Places, Places]:
    home = tmp_path / "home"
    monkeypatch.setattr(places, "ROOT_HOME", home)
    found = []
    for name in ("one", "two"):
        repo = tmp_path / name
        (repo / "setup").mkdir(parents=True)
        (repo / "setup" / "dev_down.py").touch()
        found.append(Places(repo, "no-such-account", home / "runtime", home / "data", home / "run"))
    for folder in (found[0].runtime, found[0].data, found[0].dev, found[1].dev):
        folder.mkdir(parents=True)
    one, two = found
    assert one.for_root
    return one, two


def test_stack_of_another_clone_is_neither_removed_nor_taken(clones: tuple[Places, Places]) -> None:
    one, two = clones
    owner.claim(one)
    with pytest.raises(SetupError, match=f"clone in {one.repo}.*make -C {one.repo} dev-down"):
        dev_down.take_down(two)
    assert one.data.exists()
    assert two.dev.exists()
    dev_down.take_down(one)
    assert not one.data.exists()
    owner.refuse_other(two)


def test_make_dev_refuses_before_it_changes_anything(
    clones: tuple[Places, Places],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, two = clones
    owner.claim(one)
    before = sorted(two.repo.rglob("*"))
    monkeypatch.setattr(toolchain, "places", lambda _repo: two)
    monkeypatch.setattr("sys.argv", ["toolchain.py", "dev"])
    assert toolchain.main() == 1
    assert f"make -C {one.repo} dev-down" in capsys.readouterr().err
    assert sorted(two.repo.rglob("*")) == before
    assert owner.of(two) == one.repo


def test_stack_of_a_clone_that_is_gone_can_be_taken_and_removed(
    clones: tuple[Places, Places],
) -> None:
    one, two = clones
    owner.claim(one)
    (one.repo / "setup" / "dev_down.py").unlink()
    owner.refuse_other(two)
    owner.claim(two)
    assert owner.of(two) == two.repo
    dev_down.take_down(two)
    assert not two.data.exists()
    assert owner.of(two) is None


def test_runtime_stays_while_the_tests_of_another_clone_run(
    clones: tuple[Places, Places], capsys: pytest.CaptureFixture[str]
) -> None:
    one, _ = clones
    owner.claim(one)
    program = one.runtime / "program"
    program.write_text("#!/bin/sh\nread line\n")
    program.chmod(0o755)
    with subprocess.Popen([program], stdin=subprocess.PIPE) as other:
        try:
            dev_down.take_down(one)
            assert f"stay: processes [{other.pid}]" in capsys.readouterr().out
            assert program.exists()
            assert other.poll() is None
        finally:
            other.kill()
    assert not one.data.exists()
    assert not one.dev.exists()
    assert owner.of(one) is None
    dev_down.take_down(one)
    assert not one.runtime.parent.exists()
