"""Which CometBFT, and which Go, is taken."""

import pytest

import comet

INFORMATION = f"""\
/usr/bin/cometbft: go1.26.8
\tpath\t{comet.MODULE}/cmd/cometbft
\tmod\t{comet.MODULE}\t{comet.VERSION}\t{comet.CHECKSUM}
\tdep\tgithub.com/beorn7/perks\tv1.0.1\th1:VlbKKnNfV8bJzeqoa4cOKqO6bYr3WgKZxO8Z16+hsOM=
"""


def test_the_pinned_module_is_taken() -> None:
    assert comet.is_pinned(INFORMATION)


@pytest.mark.parametrize(
    ("part", "other"),
    [
        (comet.VERSION, "v0.39.2"),
        (comet.CHECKSUM, "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        (f"\t{comet.CHECKSUM}", ""),
        (f"path\t{comet.MODULE}", "path\texample.com/other"),
        ("\tmod\t", "\tdep\t"),
    ],
)
def test_anything_else_is_not(part: str, other: str) -> None:
    assert part in INFORMATION
    assert not comet.is_pinned(INFORMATION.replace(part, other))


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
