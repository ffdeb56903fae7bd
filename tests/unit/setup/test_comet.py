"""Which CometBFT, and which Go, is taken."""

from dataclasses import replace
from pathlib import Path

import pytest

import comet
import places
from steps import SetupError

REPO = Path(__file__).resolve().parents[3]
SUMS = (REPO / "setup" / "cometbft" / "go.sum").read_text()

INFORMATION = f"""\
/usr/bin/cometbft: go1.26.8
\tpath\t{comet.MODULE}/cmd/cometbft
\tmod\t{comet.MODULE}\t{comet.VERSION}\t{comet.CHECKSUM}
\tdep\tgithub.com/beorn7/perks\tv1.0.1\th1:VlbKKnNfV8bJzeqoa4cOKqO6bYr3WgKZxO8Z16+hsOM=
"""


def test_pinned_module_is_taken() -> None:
    assert comet.is_pinned(INFORMATION, SUMS)


@pytest.mark.parametrize(
    ("part", "other"),
    [
        (comet.VERSION, "v0.39.2"),
        (comet.CHECKSUM, "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        (f"\t{comet.CHECKSUM}", ""),
        (f"path\t{comet.MODULE}", "path\texample.com/other"),
        ("\tmod\t", "\tdep\t"),
        ("h1:VlbKKnNfV8bJzeqoa4cOKqO6bYr3WgKZxO8Z16+hsOM=", "h1:AAAA"),
        ("perks\tv1.0.1", "perks\tv1.0.2"),
        ("github.com/beorn7/perks", "example.com/perks"),
        (
            "\th1:VlbKKnNfV8bJzeqoa4cOKqO6bYr3WgKZxO8Z16+hsOM=",
            "\n\t=>\texample.com/perks\tv1.0.1\th1:AAAA",
        ),
    ],
)
def test_anything_else_is_not(part: str, other: str) -> None:
    assert part in INFORMATION
    assert not comet.is_pinned(INFORMATION.replace(part, other), SUMS)


def test_program_that_was_built_has_only_modules_that_are_pinned() -> None:
    module = f"{comet.MODULE} {comet.VERSION} {comet.CHECKSUM}"
    assert module in SUMS.splitlines()
    folder = REPO / "setup" / "cometbft"
    assert f"\t{comet.MODULE} {comet.VERSION} // indirect" in (folder / "go.mod").read_text()


def test_build_ignores_what_a_shell_has_set_for_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where modules come from, and where they are kept."""
    go = tmp_path / "go"
    go.write_text(
        '#!/bin/sh\n[ "$1" = build ] && env >&2 && exit 1\n'
        'printf "the-proxy\\n/no/such\\n/no/such\\n"\n'
    )
    go.chmod(0o755)
    hostile = {
        "GOSUMDB": "sum.evil.example",
        "GOFLAGS": "-mod=mod",
        "GOENV": "/evil",
        "GOOS": "plan9",
        **dict.fromkeys(("GONOSUMDB", "GOPRIVATE", "GOINSECURE", "GONOPROXY"), "*"),
    }
    for name, text in hostile.items():
        monkeypatch.setenv(name, text)
    (tmp_path / "setup").mkdir()
    (tmp_path / "setup" / "cometbft").symlink_to(REPO / "setup" / "cometbft")
    where = replace(places.places(REPO), repo=tmp_path)
    with pytest.raises(SetupError, match="go build failed"):
        comet._build(where, str(go), where.cache / "cometbft" / "cometbft")
    lines = where.log("cometbft").read_text().splitlines()
    seen = dict(line.split("=", 1) for line in lines if "=" in line)
    assert {name: seen[name] for name in hostile} == {
        "GOSUMDB": "off",
        "GOFLAGS": "-mod=readonly -modcacherw",
        "GOENV": "off",
        **dict.fromkeys(("GOOS", "GONOSUMDB", "GOPRIVATE", "GOINSECURE", "GONOPROXY"), ""),
    }
    assert seen["GOPROXY"] == "the-proxy"


@pytest.mark.parametrize(
    ("version", "enough"),
    [
        ("go1.24.9\n", False),
        ("go1.25\n", True),
        ("go1.25.0\n", True),
        ("go1.100.1\n", True),
        ("go2.0\n", True),
        ("devel\n", False),
    ],
)
def test_which_go_is_new_enough(version: str, enough: bool) -> None:
    assert comet.is_new_enough(version) is enough
