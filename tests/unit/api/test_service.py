"""The API as a service: what it says where it can't begin."""

import asyncio
import socket

import pytest

from workflow_backend.api.service import run
from workflow_backend.errors import SettingError
from workflow_backend.settings import Settings


async def test_port_in_use_is_named_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings.load({"XIAN_CHAIN_ID": "c-1", "XIAN_WORKFLOW_API_PORT": str(port)})
        with pytest.raises(SettingError) as no:
            await run(settings, asyncio.Event(), read_only=True)
    assert str(no.value) == f"can't listen on 127.0.0.1:{port}: Address already in use"
