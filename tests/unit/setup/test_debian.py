"""CPython from Debian: which mirrors a machine uses, and which packages are taken."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

import debian
import places
import steps

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


def test_mirrors_are_those_whose_lists_say_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mirrors(monkeypatch, TARGETS, "") == ["http://mirror.example/debian/"]


@pytest.mark.parametrize("targets", ["", "http://mirror.example/debian/||\n"])
def test_machine_that_never_fetched_its_lists_has_sources(
    monkeypatch: pytest.MonkeyPatch, targets: str
) -> None:
    assert mirrors(monkeypatch, targets, ADDRESSES) == [
        "http://mirror.example/debian/",
        "mirror+file:/etc/apt/mirrors/debian.list/",
    ]


def test_machine_of_another_distribution_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mirrors(monkeypatch, "http://mirror.example/ubuntu/|Ubuntu|Ubuntu\n", ADDRESSES) == []


def test_machine_without_sources_has_no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mirrors(monkeypatch, "", "") == []


WHERE = places.places(Path(__file__).resolve().parents[3])
NEWER = "python3.14_3.14.9-1_amd64.deb"


def test_packages_of_the_interpreter_are_all_pinned() -> None:
    pinned = debian.pins(WHERE)
    assert {"python3.14", "libc6", "libssl3t64"} <= {name.split("_")[0] for name in pinned}
    assert {len(bytes.fromhex(digest)) for digest in pinned.values()} == {32}
    asked = debian.exactly(["zlib1g_1%3a1.3-3_amd64.deb", "netbase_6.6_all.deb"])
    assert asked == ["zlib1g=1:1.3-3", "netbase=6.6"]


class Mirror:
    """apt on a mirror that has one package of this name and content; `asked` is what for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.name, self.asked = name, list[str]()
        monkeypatch.setattr(debian, "run", self.run)

    def run(self, command: list[str | Path], *, log: Path, **_: object) -> str:
        if "install" not in command:
            return ""
        packages = [str(word) for word in command if str(word).startswith("python3.14")]
        self.asked += packages
        if packages == [debian.exactly([self.name])[0]] or packages == ["python3.14"]:
            folder = Path(str(command[command.index("--config-file") + 1])).parent
            (folder / "cache" / "archives" / self.name).write_text("package")
            return ""
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("E: Version '3.14.8-1' for 'python3.14' was not found\n")
        raise steps.SetupError("apt failed", "again")


def fetched(folder: Path, pinned: dict[str, str]) -> list[str]:
    where = replace(WHERE, repo=folder)
    where.requirements.mkdir(parents=True)
    lines = "".join(f"{digest}  {name}\n" for name, digest in pinned.items())
    (where.requirements / "debian.sha256").write_text(lines)
    where.cache.mkdir()
    (folder / "apt").mkdir()
    debian._keep(where, debian._download(where, "m", Path("key"), folder / "apt", pinned))
    return sorted(debian._digests(where))


def test_package_that_is_pinned_is_asked_for_and_held_to_its_sum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = Mirror(monkeypatch, NEWER)
    digest = hashlib.sha256(b"package").hexdigest()
    assert fetched(tmp_path / "one", {NEWER: digest}) == [NEWER]
    assert mirror.asked == ["python3.14=3.14.9-1"]
    with pytest.raises(steps.SetupError, match="is pinned"):
        fetched(tmp_path / "two", {NEWER: "0" * 64})


def test_packages_newer_than_the_pins_are_taken_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror = Mirror(monkeypatch, NEWER)
    pinned = {"python3.14_3.14.8-1_amd64.deb": "0" * 64}
    assert fetched(tmp_path / "one", pinned) == [NEWER]
    assert mirror.asked == ["python3.14=3.14.8-1", "python3.14"]
    assert f"Debian's signature alone ({NEWER})" in capsys.readouterr().out


@pytest.mark.parametrize("version", ["3.14.10-1", "1%3a3.14.9-1"])
def test_packages_older_than_the_pins_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """Debian's signature of an old list never ends, so anybody may replay one."""
    Mirror(monkeypatch, NEWER)
    with pytest.raises(steps.SetupError, match="older than the pinned version"):
        fetched(tmp_path / "one", {f"python3.14_{version}_amd64.deb": "0" * 64})
