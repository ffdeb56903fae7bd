"""Released versions of the contract, told apart by their sources."""

from hashlib import sha256
from pathlib import Path

import pytest

from workflow_backend.contract_versions import (
    VERSIONS,
    ContractVersion,
    may_stand_for,
    number,
    source_digest,
    version_of,
)

CONTRACTS = Path(__file__).parents[2] / "contracts"


def source(version: ContractVersion) -> str:
    return (CONTRACTS / version.file).read_text(encoding="utf-8")


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: str(version.number))
def test_released_version_is_known_by_its_source(version: ContractVersion) -> None:
    assert version_of(source(version)) is version
    assert number(source(version) + "\n# a comment\n") == version.number


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: str(version.number))
def test_words_for_people_make_no_other_version(version: ContractVersion) -> None:
    changed = source(version).replace("the attempt is not the current one", "too late")
    changed = changed.replace("only the operator may do this", "ask the operator")
    assert changed != source(version)
    assert version_of(changed) is version


@pytest.mark.parametrize(
    ("old", "new"),
    [("128", "129"), ("submitted", "waiting"), ("def claim_item(", "def grab_item(")],
)
def test_any_other_change_makes_a_foreign_contract(old: str, new: str) -> None:
    changed = source(VERSIONS[0]).replace(old, new)
    assert changed != source(VERSIONS[0])
    assert version_of(changed) is None


def test_layout_and_comments_do_not_count() -> None:
    one, same = "def f():\n    return 1\n", "def f():  # one\n\n    return (1)\n"
    assert source_digest(one) == source_digest(same)
    assert source_digest(one) != source_digest(one.replace("1", "2"))


@pytest.mark.parametrize("text", ["def f(:", "", "\x00", "(" * 5_000, "-" * 100_000 + "1"])
def test_text_that_is_no_program_is_no_version(text: str) -> None:
    assert version_of(text) is None


def test_released_versions_stand_for_each_other() -> None:
    first, second = (source(version) for version in VERSIONS)
    foreign = first.replace("128", "129")
    assert may_stand_for(first, second)
    assert may_stand_for(second, first)
    assert may_stand_for(foreign, foreign + "# same\n")
    assert not may_stand_for(foreign, first)
    assert not may_stand_for(first, foreign)


def test_source_without_end_is_not_parsed() -> None:
    """A node that lies gives one that takes minutes to parse."""
    long = "x: y\n" * 100_000
    assert source_digest(long) == sha256(long.encode()).hexdigest()
