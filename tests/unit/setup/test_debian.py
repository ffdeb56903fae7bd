"""Which mirrors of Debian a machine is found to use, whether or not apt has fetched its lists."""

from pathlib import Path

import pytest

import debian
import places

TARGETS = """\
http://mirror.example/debian/|Debian|Debian
http://mirror.example/debian/|Debian|Debian
http://mirror.example/debian-security/|Debian|Debian-Security
https://packages.example/apt/|Example|Example
"""
ADDRESSES = """\
'http://mirror.example/debian/dists/bookworm/InRelease' mirror.example_debian_dists_bookworm_InRelease 0 
'http://mirror.example/debian/dists/bookworm-updates/InRelease' mirror.example_debian_dists_bookworm-updates_InRelease 0 
'mirror+file:/etc/apt/mirrors/debian.list/dists/bookworm/InRelease' _etc_apt_mirrors_InRelease 0 
'cdrom:[Debian]/dists/bookworm/InRelease' Debian_dists_bookworm_InRelease 0 
'http://mirror.example/debian/dists/bookworm/main/binary-amd64/Packages.xz' mirror.example_Packages 0 
"""  # noqa: E501, W291 -- as apt prints it


def mirrors(monkeypatch: pytest.MonkeyPatch, targets: str, addresses: str) -> list[str]:
    def apt(command: list[str], **_: object) -> str:
        return targets if "indextargets" in command else addresses

    monkeypatch.setattr(debian, "run", apt)
    return debian.mirrors(places.places(Path("/nowhere")))


def test_the_mirrors_are_those_whose_lists_say_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mirrors(monkeypatch, TARGETS, "") == ["http://mirror.example/debian/"]


@pytest.mark.parametrize("targets", ["", "http://mirror.example/debian/||\n"])
def test_a_machine_that_never_fetched_its_lists_has_sources(
    monkeypatch: pytest.MonkeyPatch, targets: str
) -> None:
    assert mirrors(monkeypatch, targets, ADDRESSES) == [
        "http://mirror.example/debian/",
        "mirror+file:/etc/apt/mirrors/debian.list/",
    ]


def test_a_machine_of_another_distribution_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mirrors(monkeypatch, "http://mirror.example/ubuntu/|Ubuntu|Ubuntu\n", ADDRESSES) == []


def test_a_machine_without_sources_has_no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mirrors(monkeypatch, "", "") == []
