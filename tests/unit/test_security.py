"""What the threat model says is held by a test is held by one that there is."""

import re
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
TEXT = (REPO / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w./-]+\.py)::(\w+)`", TEXT)))
ROWS = [
    line
    for line in TEXT.partition("## Boundaries")[2].partition("## Keys")[0].splitlines()
    if line.startswith("| ") and not line.startswith(("| ---", "| what could be tried"))
]


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_threat_model_names_tests_that_there_are(path: str, name: str) -> None:
    source = (REPO / path).read_text(encoding="utf-8")
    assert re.search(rf"^ *(async )?def {name}\(", source, re.MULTILINE), f"{path} has no {name}"


def test_threat_model_names_a_test_for_each_boundary() -> None:
    assert len(ROWS) > 30
    for row in ROWS:
        assert re.search(r"`[\w./-]+\.py::test_\w+`", row), row
