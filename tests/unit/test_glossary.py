"""The glossary stays a list to look things up in."""

import re
from pathlib import Path

import pytest

TERM = re.compile(r"- \*\*(?P<term>[^*]+)\*\*: (?P<text>.+)")
LINES = [
    line
    for line in Path("docs/glossary.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("-")
]


def test_terms_are_sorted_and_unique() -> None:
    terms = [line.split("**")[1] for line in LINES]
    assert terms == sorted(set(terms), key=str.casefold)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split("**")[1])
def test_term_has_one_sentence(line: str) -> None:
    match = TERM.fullmatch(line)
    assert match is not None, "write: - **term**: A sentence."
    text = match["text"]
    assert re.match(r"[A-Z`]", text)
    assert text.endswith((".", "`)."))
    assert not re.search(r"[.!?] [A-Z]", text), "a second sentence begins"
