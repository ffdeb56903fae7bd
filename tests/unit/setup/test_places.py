"""Where things live."""

import os
from pathlib import Path

import pytest

import places
import steps

SOCKET_ADDRESS_BYTES = 107


def test_sockets_fit_however_deep_the_clone_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", os.getuid if os.getuid() else lambda: 65534)
    for repo in (Path("/home/a/clone"), Path("/home") / ("deep" * 30) / "clone"):
        where = places.places(repo)
        assert not where.for_root
        assert len(os.fsencode(where.run / ("n" * 50))) < SOCKET_ADDRESS_BYTES


def test_clones_in_deep_folders_have_sockets_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", os.getuid if os.getuid() else lambda: 65534)
    deep = Path("/home") / ("deep" * 30)
    assert places.places(deep / "a").run != places.places(deep / "b").run


def test_link_that_another_user_put_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to(tmp_path)
    with pytest.raises(steps.SetupError, match="belongs to somebody else"):
        places._own(tmp_path / "run", os.geteuid(), os.getegid(), 0o700)


def test_folder_gets_the_mode_it_should_have(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    places._own(tmp_path / "run", os.geteuid(), os.getegid(), 0o700)
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "name", ["my clone", "a:b", "a,b", "50%", "it's", "$x", "a#b", "a&b", "a\nb"]
)
def test_path_that_would_be_taken_apart_is_refused(name: str) -> None:
    with pytest.raises(steps.SetupError, match="the path of this clone"):
        places.refuse_unusable(Path("/home") / name / "clone")


@pytest.mark.parametrize("name", ["workflow-backend", "a_b.c+d@e~1", "Ünïcode"])
def test_any_other_path_will_do(name: str) -> None:
    places.refuse_unusable(Path("/home") / name)
