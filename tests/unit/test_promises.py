"""What the threat model and the invariants say is held by a test is held by one that there is."""

import re
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
DOCS = REPO / "docs"
BOUNDARIES = (DOCS / "security.md").read_text(encoding="utf-8")
INVARIANTS = (DOCS / "invariants.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w./-]+\.py)::(\w+)`", BOUNDARIES + INVARIANTS)))


def rows(text: str) -> list[str]:
    no_row = ("| ---", "| Attack", "| Always true")
    return [x for x in text.splitlines() if x.startswith("| ") and not x.startswith(no_row)]


ATTACKS = rows(BOUNDARIES.partition("## Boundaries")[2].partition("## Keys")[0])
ROWS = ATTACKS + rows(INVARIANTS)


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_docs_name_tests_that_there_are(path: str, name: str) -> None:
    source = (REPO / path).read_text(encoding="utf-8")
    assert re.search(rf"^ *(async )?def {name}\(", source, re.MULTILINE), f"{path} has no {name}"


def test_docs_name_a_test_for_each_boundary_and_invariant() -> None:
    assert len(ROWS) > 45
    for row in ROWS:
        assert re.search(r"`[\w./-]+\.py::test_\w+`", row), row


def test_threat_model_says_a_thing_once() -> None:
    rows_of: dict[str, list[str]] = {}
    for row in ATTACKS:
        for test in re.findall(r"`([\w./-]+\.py::test_\w+)`", row):
            rows_of.setdefault(test, []).append(row.split("|")[1].strip())
    assert {test: attacks for test, attacks in rows_of.items() if len(attacks) > 1} == {}
