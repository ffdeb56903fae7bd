"""What a build makes of the parts: the same bytes of the same parts, and a list of them."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.operations.release import archive, build, golang, manifest, sbom

HEAD: dict[str, Any] = {
    "id": "1.0-a",
    "version": "1.0",
    "path": "/opt/workflow-backend/releases/1.0-a",
    "cometbft": {"module": "example.org/comet", "version": "v1.2.3", "checksum": "h1:x"},
    "environments": {
        "node": [
            {"name": "both", "version": "1", "sha256": "aa", "licence_expression": "MIT"},
            {"name": "one", "version": "2", "sha256": "bb", "licence": "BSD"},
        ],
        "services": [{"name": "both", "version": "1", "sha256": "aa", "licence_expression": "MIT"}],
    },
    "tools": {"uv": {"name": "uv", "version": "3", "sha256": "cc"}},
    "python": {
        "version": "3.14.8",
        "sha256": "dd",
        "packages": {"zlib1g_1%3a1.3+really1-2_amd64.deb": "ee"},
    },
}


def text(content: bytes) -> bytes:
    """A text as Go writes it: its length, seven bits a byte, and itself."""
    length, before = len(content), b""
    while length >= 0x80:
        before, length = before + bytes([length & 0x7F | 0x80]), length >> 7
    return before + bytes([length]) + content


def program(path: Path, *lines: str) -> Path:
    """A program that says of itself that Go built it from these modules."""
    listing = b"\1" * 16 + "\n".join(lines).encode() + b"\2" * 16
    header = (b"\xff Go buildinf:" + b"\x08\x02").ljust(32, b"\0")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"code" + header + text(b"go1.27") + text(listing) + b"more code")
    return path


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    folder = tmp_path / "stage"
    program(folder / "bin/cometbft", "mod\texample.org/comet\tv1.2.3\th1:x")
    (folder / "bin/cometbft").chmod(0o755)
    (folder / "contracts").mkdir()
    (folder / "contracts/first.s.py").write_text("first")
    (folder / "contracts/link.s.py").symlink_to("first.s.py")
    (tmp_path / "stage.json").write_text(json.dumps(HEAD))
    return folder


def test_the_same_parts_make_the_same_bytes(stage: Path, tmp_path: Path) -> None:
    (stage / manifest.NAME).write_text("{}")
    archive.pack(stage, tmp_path / "one")
    first = stage / "contracts/first.s.py"
    first.unlink()
    first.write_text("first")  # in another order, at another time
    os.utime(stage / "bin/cometbft", (1, 1))
    (stage / "bin/cometbft").chmod(0o700)
    stage.chmod(0o700)
    os.link(stage / "bin/cometbft", tmp_path / "another-name")
    archive.pack(stage, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_archive_tells_nothing_of_who_packed_it(stage: Path, tmp_path: Path) -> None:
    (stage / manifest.NAME).write_text("{}")
    archive.pack(stage, tmp_path / "one")
    with tarfile.open(tmp_path / "one") as tar:
        members = tar.getmembers()
    assert members[0].name == manifest.NAME
    assert [member.name for member in members[1:]] == sorted(m.name for m in members[1:])
    assert {(m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, "root", "root")}
    assert len({m.mtime for m in members}) == 1
    assert {stat.S_IMODE(m.mode) for m in members if m.isreg()} == {0o755, 0o644}


def test_a_build_that_ends_early_leaves_no_archive(
    stage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stage / manifest.NAME).write_text("{}")

    def full(*_: object) -> None:
        raise OSError("full")

    monkeypatch.setattr(archive, "_add", full)
    with pytest.raises(OSError, match="full"):
        archive.pack(stage, tmp_path / "out.tar.gz")
    assert {path.name for path in tmp_path.iterdir()} == {"stage", "stage.json"}


def test_a_release_is_packed_once_and_the_last_one_is_found(stage: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    built = build._pack(stage, out)
    packed = out / "1.0-a.tar.gz"
    before = packed.stat().st_mtime_ns
    assert build._pack(stage, out) == built
    assert packed.stat().st_mtime_ns == before
    description = json.loads((out / "latest.json").read_text())
    assert description["sha256"] == built["sha256"] == manifest.file_digest(packed)
    assert description["path"] == HEAD["path"]
    assert description["versions"]["cometbft"] == "v1.2.3"
    packed.write_bytes(b"damaged")
    build._pack(stage, out)
    assert manifest.file_digest(packed) == built["sha256"]


def test_what_it_agrees_with_is_declared_and_stays_so(stage: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()

    def declared(*agrees_with: str) -> list[str]:
        built = build._pack(stage, out, agrees_with)
        listed: list[str] = json.loads(Path(built["description"]).read_text())[
            "consensus_compatible_with"
        ]
        return listed

    assert declared() == []
    packed = (out / "1.0-a.tar.gz").stat().st_mtime_ns
    assert declared("0.9-b", "0.8-c") == ["0.8-c", "0.9-b"]
    assert declared() == declared("0.9-b") == ["0.8-c", "0.9-b"]
    assert (out / "1.0-a.tar.gz").stat().st_mtime_ns == packed
    (stage / "contracts/first.s.py").write_text("another")
    assert declared("0.9-b") == ["0.9-b"]  # of other content nothing was declared


def test_the_oldest_releases_go_and_nothing_else(stage: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    names = ("1.0-a", "1.0-b", "1.0-c", "1.0-d")
    for age, name in enumerate(names):
        (tmp_path / "stage.json").write_text(json.dumps({**HEAD, "id": name}))
        build._pack(stage, out)
        os.utime(out / f"{name}.json", (age, age))
    (out / "mine.json").write_text("{}")
    (out / "latest.json").unlink()
    (out / "latest.json").symlink_to("1.0-a.json")
    build._prune(out, 1)
    assert {path.name for path in out.iterdir()} == {
        *("1.0-a.json", "1.0-a.tar.gz"),  # the last one that was built
        *("1.0-d.json", "1.0-d.tar.gz"),
        *("latest.json", "mine.json"),
    }


def test_the_manifest_has_every_file_and_link(stage: Path) -> None:
    found = manifest.describe(stage, HEAD)
    assert set(found["files"]) == {"bin/cometbft", "contracts/first.s.py"}
    assert found["links"] == {"contracts/link.s.py": "first.s.py"}


def test_modules_of_a_go_program_and_what_replaces_them(tmp_path: Path) -> None:
    file = program(
        tmp_path / "program",
        "path\texample.org/comet/cmd",
        "mod\texample.org/comet\tv1.2.3\th1:x",
        "dep\texample.org/a\tv1.0.0\th1:a",
        "dep\texample.org/b\tv2.0.0",
        "=>\texample.org/fork\tv2.0.1\th1:b",
        "dep\texample.org/c\tv3.0.0\th1:c",
        *(f"dep\texample.org/many/{number}\tv1.0.0\th1:m" for number in range(500)),
    )
    found = golang.modules(file)
    assert found[:3] == [
        ("example.org/a", "v1.0.0", "h1:a"),
        ("example.org/fork", "v2.0.1", "h1:b"),
        ("example.org/c", "v3.0.0", "h1:c"),
    ]
    assert len(found) == 503
    file.write_text("no program")
    with pytest.raises(golang.NotGo):
        golang.modules(file)


def test_the_list_of_parts_has_each_once_with_licence_and_sum() -> None:
    modules = [("example.org/a", "v1.0.0", "h1:a")]
    made = sbom.describe(HEAD, modules, "ff")
    assert made == sbom.describe(HEAD, modules, "ff")
    document = json.loads(made)
    parts = {part["purl"]: part for part in document["components"]}
    assert set(parts) == {
        "pkg:deb/debian/zlib1g@1%3A1.3%2Breally1-2?arch=amd64",
        "pkg:golang/example.org/a@v1.0.0",
        "pkg:golang/example.org/comet@v1.2.3",
        "pkg:pypi/both@1",
        "pkg:pypi/one@2",
        "pkg:pypi/uv@3",
    }
    assert parts["pkg:pypi/both@1"]["licenses"] == [{"expression": "MIT"}]
    assert parts["pkg:pypi/one@2"]["licenses"] == [{"license": {"name": "BSD"}}]
    assert parts["pkg:golang/example.org/comet@v1.2.3"]["hashes"][0]["content"] == "ff"
    listed = parts["pkg:golang/example.org/a@v1.0.0"]["properties"]
    assert listed == [{"name": "go.sum", "value": "h1:a"}]
    assert set(document["dependencies"][0]["dependsOn"]) == set(parts)


def test_outside_a_clone_the_command_says_where_to_go(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("workflow-backend")
    done = subprocess.run(
        [command, "release", "build"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "change to the clone" in done.stderr


def test_a_clone_without_tools_says_how_to_get_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(Path(__file__).resolve().parents[3] / "setup", tmp_path / "setup")
    with pytest.raises(build.NotBuilt):
        build.build(tmp_path / "setup", None, Path("/opt/x"), 4)
    assert capfd.readouterr().err.count("do this: make release") == 1
