"""A service of which a part has failed ends, so that its manager starts it anew."""

import asyncio
import json
from pathlib import Path

import pytest

from .stack import Stack

# Python imports it before the service: what follows the chain's blocks dies in its first moment.
BROKEN = """
from workflow_backend.chain.block_subscription import BlockSubscription

async def fail(self):
    raise KeyError("a fault of ours")

BlockSubscription._run = fail
"""


@pytest.mark.parametrize("service", ["processor", "projector", "api"])
async def test_service_ends_with_its_part(stack: Stack, tmp_path: Path, service: str) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sitecustomize.py").write_text(BROKEN)
    stack.extra["PYTHONPATH"] = str(tmp_path / "broken")
    stack.start(service)
    assert await asyncio.to_thread(stack.running[service].wait, 30) == 1
    lines = [json.loads(line) for line in stack.log(service).splitlines()]
    (failed,) = (
        line for line in lines[:-1] if line["message"].startswith("block subscription ended")
    )
    assert "a fault of ours" in failed["exception"]
    assert "restarts the service" in lines[-1]["message"]
    assert "exception" not in lines[-1]
