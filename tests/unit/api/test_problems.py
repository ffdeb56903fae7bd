"""Problem details: what a client reads of an error."""

import re
from pathlib import Path

import httpx
import pytest

from workflow_backend.api import problems
from workflow_backend.api.app import create_app
from workflow_backend.chain.node import Node
from workflow_backend.chain.rpc import Rpc
from workflow_backend.settings import Settings
from workflow_backend.store.sqlite import SqliteStore

from .conftest import Open, fake_backend


async def test_problem_names_no_address_or_path(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is behind the API is its operator's affair, who finds it in the log."""
    settings = Settings.load({"XIAN_CHAIN_ID": "chain-1"})
    store = SqliteStore(tmp_path / "gone.sqlite3", "chain-1", "con_job_workflow")
    async with Rpc("http://127.0.0.1:1") as rpc:
        backend = fake_backend(settings, node=Node(rpc, "con_job_workflow"), store=store)
        transport = httpx.ASGITransport(create_app(backend))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            problems._logged_at.clear()
            answers = [
                await client.get(path)
                for path in ("/items", "/items/a", "/health", "/health/ready", "/projection/health")
            ]
    assert [answer.status_code for answer in answers] == [503, 503, 200, 503, 503]
    for answer in answers:
        assert "127.0.0.1" not in answer.text
        assert str(tmp_path) not in answer.text
    logged = [record.getMessage() for record in caplog.records]
    assert [sum(text in line for line in logged) for text in ("127.0.0.1:1", str(tmp_path))] == [
        1,
        1,
    ]


async def test_problem_explains_a_body_that_is_not_json(api: Open) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await api().post("/items", content='{"item_id": "a",}', headers=headers)
    problem = answer.json()
    assert (answer.status_code, problem["detail"]) == (422, "not valid: body")
    (error,) = problem["errors"]
    assert error["field"] == ""
    assert re.fullmatch(r"not JSON: .+ at character \d+", error["message"])
