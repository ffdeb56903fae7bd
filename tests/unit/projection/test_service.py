"""The projector as a service."""

import asyncio
from pathlib import Path

import pytest

from workflow_backend.errors import NodeUnavailable, ProjectorRunning, SettingError
from workflow_backend.file_lock import file_lock
from workflow_backend.projection import service
from workflow_backend.settings import Settings


async def test_projector_runs_once_in_a_state_folder(tmp_path: Path) -> None:
    settings = Settings.load(
        {
            "XIAN_CHAIN_ID": "chain-1",
            "XIAN_NODE_URL": "http://127.0.0.1:9",  # nothing listens
            "XIAN_WORKFLOW_STATE_DIR": str(tmp_path / "state"),
            # By default in the state's folder, whose path is too long for a socket in some tests.
            "XIAN_WORKFLOW_HANDLERS_SOCKET": "handlers.sock",
        }
    )
    with pytest.raises(NodeUnavailable):
        await service.run(settings, asyncio.Event())
    with (
        file_lock(tmp_path / "state/projector.lock", SettingError("held already")),
        pytest.raises(ProjectorRunning, match=r"state folder .*/state"),
    ):
        await service.run(settings, asyncio.Event())
