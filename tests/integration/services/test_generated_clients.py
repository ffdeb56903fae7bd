"""Clients that are made of the API's description work with it as they come."""

import asyncio
import importlib
import json
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from npm_harness import REPO, npm_folder, run

from .stack import Stack, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
async def described(running: Stack, tmp_path: Path) -> Path:
    async with aiohttp.request("GET", f"{running.url}/openapi.json") as answer:
        document = await answer.text()
    path = tmp_path / "openapi.json"
    path.write_text(document)
    return path


async def test_python_client_works(
    running: Stack, described: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.yml").write_text("post_hooks: []\n")
    making = await asyncio.create_subprocess_exec(
        *(Path(sys.executable).with_name("openapi-python-client"), "generate"),
        *("--path", described, "--config", tmp_path / "config.yml"),
        *("--meta", "none", "--output-path", tmp_path / "generated", "--fail-on-warning"),
    )
    assert await making.wait() == 0
    monkeypatch.syspath_prepend(tmp_path)
    made: Any = importlib.import_module("generated")
    models: Any = importlib.import_module("generated.models")
    api = made.Client(base_url=running.url, timeout=90)

    async def call(name: str, *arguments: Any, **fields: Any) -> Any:
        module: Any = importlib.import_module(f"generated.api.items.{name}")
        return await module.asyncio(*arguments, client=api, **fields)

    began = datetime.now(UTC) - timedelta(seconds=1)
    done = models.Submission(item_id="py-done", payload_uri="uri:x")
    submitted = await call("submit_item", body=done, wait="completed", timeout=60.0)
    assert submitted.item.status == "completed"
    assert began < submitted.item.created_at < datetime.now(UTC) + timedelta(seconds=1)
    parked = [
        models.Submission(item_id=f"py-{number}", payload_uri="uri:x", kind="parked")
        for number in range(2)
    ]
    batch = await call("submit_items", body=models.Submissions(items=parked))
    assert (batch.accepted, batch.refused) == (2, 0)
    assert (await call("cancel_item", "py-0")).item.status == "cancelled"
    reason = models.Cancellation(reason="not needed")
    assert (await call("cancel_item", "py-1", body=reason)).item.failure_reason == "not needed"

    async def listed() -> bool:
        ids, cursor = [], made.types.UNSET
        while cursor is not None:
            page = await call(
                "list_items", id_prefix="py-", created_from=began, limit=1, cursor=cursor
            )
            ids += [item.item_id for item in page.items]
            cursor = page.next_cursor
        return ids == ["py-0", "py-1", "py-done"]

    await eventually(listed, "three items on as many pages")
    missing = await call("get_item", "py-none")
    assert (missing.status, "no item 'py-none'" in missing.detail) == (404, True)
    invalid = await call("submit_item", body=models.Submission(item_id="a b", payload_uri="x"))
    assert [error.field for error in invalid.errors] == ["item_id"]


async def test_typescript_client_works(running: Stack, described: Path, tmp_path: Path) -> None:
    folder = await asyncio.to_thread(npm_folder)
    (tmp_path / "node_modules").symlink_to(folder / "node_modules")
    shutil.copy(REPO / "tests" / "openapi" / "client.ts", tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    await asyncio.to_thread(run, folder, "openapi-typescript", described, "-o", tmp_path / "api.ts")
    options = ("--strict", "--target", "es2022", "--module", "preserve", "--skipLibCheck")
    await asyncio.to_thread(run, folder, "tsc", *options, tmp_path / "client.ts")
    process = await asyncio.create_subprocess_exec(
        *("node", tmp_path / "client.js", running.url), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    seen = json.loads(output)
    assert datetime.fromisoformat(seen.pop("created")) > datetime.now(UTC) - timedelta(minutes=5)
    assert seen == {
        "status": "completed",
        "accepted": 2,
        "cancelled": ["cancelled", "not needed", "cancelled"],
        "listed": ["ts-1", "ts-2", "ts-done"],
        "missing": f"no item 'ts-none' on {running.contract}",
        "invalid": ["item_id"],
    }
