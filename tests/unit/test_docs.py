"""The documents lead where they say, and each of their commands is run by a test or says why not.

A block of commands has a comment above it: `<!-- run by: PATH -->` names the test, and
`<!-- not run: REASON -->` says why there is none. Above the first heading it holds for the page.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

REPO = Path(__file__).parents[2]
PAGES = [
    *(REPO / "README.md", REPO / "SECURITY.md", REPO / "contracts/README.md"),
    *sorted((REPO / "docs").glob("*.md")),
    *sorted((REPO / "roles").glob("*/README.md")),
    REPO / "examples/README.md",
]
_MARK = re.compile(r"<!-- (run by|not run): (.+?) -->")
_COMMAND = re.compile(
    r"(\$|#|sudo|\.|make|cp|ansible[a-z-]*|workflow-backend|systemctl|journalctl|molecule|"
    r"python|pip|curl|openssl|git|ssh) .*"
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A block of code: its first line's number, its lines, and the mark that holds for it."""

    line: int
    lines: list[str]
    mark: tuple[str, str] | None


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of code of a page."""
    of_page = mark = None
    for token in MarkdownIt().parse(page.read_text()):
        if token.type == "heading_open" and token.tag == "h1" and mark:
            of_page = mark
        elif found := token.type == "html_block" and _MARK.search(token.content):
            mark = (found[1], found[2])
            continue
        elif token.type in ("fence", "code_block") and token.map:
            yield Block(token.map[0] + 1, token.content.splitlines(), mark or of_page)
        mark = None


def name_of(page: Path) -> str:
    return str(page.relative_to(REPO))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_of_a_page_are_run_by_a_test_or_marked(page: Path) -> None:
    unmarked = [
        f"line {block.line}: {block.lines[0]}"
        for block in blocks(page)
        if block.mark is None and any(map(_COMMAND.fullmatch, block.lines))
    ]
    assert unmarked == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_marks_of_a_page_name_tests_that_there_are(page: Path) -> None:
    for what, value in _MARK.findall(page.read_text()):
        if what == "run by":
            for path in value.split(", "):
                assert (REPO / path).is_file(), path


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(re.sub(r"(?s)```.*?```|`[^`]*`", "", page.read_text())):
        if "://" in target:
            continue
        path, _, anchor = unquote(target).partition("#")
        led = (page.parent / path).resolve() if path else page
        assert led.exists(), target
        if anchor:
            assert anchor in anchors(led), target


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", page.read_text())
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}
