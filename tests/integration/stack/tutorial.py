"""The commands of docs/tutorial.md, to be run in a shell as a reader runs them."""

from __future__ import annotations

import re
from pathlib import Path

from toolchain_harness import REPO

PAGE = REPO / "docs/tutorial.md"


def commands(test: Path) -> list[str]:
    """The commands of the blocks that the page says this test runs, in their order."""
    named = re.escape(str(test.relative_to(REPO)))
    marked = rf"<!-- run by: {named} -->\n\n```console\n(.*?)```"
    blocks = re.findall(marked, PAGE.read_text(), re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
