"""A worker whose jobs a test starts."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .workers import Worker, working


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    async with working(tmp_path) as worker:
        yield worker
