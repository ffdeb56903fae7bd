"""A node for the tests of restores."""

from pathlib import Path

import pytest

from workflow_backend.operations.snapshots import node_programs, prepare_restore, swap

from .restore_home import FakeStore, run_node_program


@pytest.fixture
def node_status(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int] | None]:
    """A node that is stopped, or runs well when the list says how."""
    answer: list[tuple[str, int] | None] = [None]

    async def ask_node(_: Path) -> tuple[str, int] | None:
        return answer[0]

    monkeypatch.setattr(node_programs, "ask", run_node_program)
    monkeypatch.setattr(prepare_restore, "OwnStore", FakeStore)
    monkeypatch.setattr(swap, "OwnStore", FakeStore)
    monkeypatch.setattr(swap, "_ask_node", ask_node)
    return answer
