"""The commands of the API's reference, run as they stand there."""

import asyncio
import os
import re
from pathlib import Path

import pytest

from .stack import Stack

REFERENCE = Path(__file__).parents[3] / "docs" / "api.md"
BLOCK = re.compile(r"(<!-- not run: .+ -->\n)?```console\n(.*?)```", re.DOTALL)


def commands(text: str) -> list[str]:
    """Return the commands of all blocks that are not marked, each with its further lines."""
    found: list[str] = []
    for mark, block in BLOCK.findall(text):
        goes_on = False
        for line in () if mark else block.splitlines():
            if goes_on:
                found[-1] += f"\n{line}"
            elif line.startswith("$ "):
                found.append(line.removeprefix("$ "))
            goes_on = line.endswith("\\")
    return found


@pytest.mark.asyncio(loop_scope="module")
async def test_api_reference_commands_work(running: Stack, tmp_path: Path) -> None:
    found = commands(REFERENCE.read_text(encoding="utf-8"))
    assert len(found) >= 10
    script = "\n".join(["set -euo pipefail", *found])
    shell = await asyncio.create_subprocess_exec(
        "bash",
        "-xc",
        script.replace("http://127.0.0.1:8000", running.url),
        cwd=tmp_path,
        env={"PATH": f"{running.command.parent}:{os.environ['PATH']}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(shell.communicate(), 120)
    assert shell.returncode == 0, output.decode()
    assert b'"status":"completed"' in output
    assert b"data: {" in output
