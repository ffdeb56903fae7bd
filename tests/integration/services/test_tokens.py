"""Tokens: what a scope lets through, and rotation without a restart."""

import subprocess
from typing import Any

import pytest_asyncio
from node_harness import Node

from .stack import Stack, fresh_stack

SUBMISSION = {"item_id": "token-1", "payload_uri": "uri:1"}


class Guarded:
    """An API with tokens, and the command that makes them."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.file = stack.path / "tokens.json"

    def command(self, *arguments: str) -> str:
        done = subprocess.run(
            [self.stack.command, "tokens", *arguments],
            env=self.stack.environment("api") | {"XIAN_WORKFLOW_TOKENS_FILE": str(self.file)},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def add(self, name: str, *scopes: str) -> str:
        return self.command("add", name, *(f"--scope={scope}" for scope in scopes))

    async def request(self, token: str | None, method: str, path: str, body: Any = None) -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        status, _, _ = await self.stack.request(method, path, body, headers)
        return status


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(node: Node, tmp_path_factory: Any) -> Any:
    async with fresh_stack(node, tmp_path_factory.mktemp("tokens")) as stack:
        guarded = Guarded(stack)
        guarded.add("first", "read")
        stack.extra["XIAN_WORKFLOW_TOKENS_FILE"] = str(guarded.file)
        stack.start("projector", "api")
        await stack.ready()
        yield guarded


async def test_without_a_valid_token_nothing_is_answered(guarded: Guarded) -> None:
    for token in (None, "", "xwb_wrong"):
        for method, path in (("GET", "/items"), ("GET", "/metrics"), ("GET", "/stream")):
            assert await guarded.request(token, method, path) == 401
        assert await guarded.request(token, "POST", "/items", SUBMISSION) == 401
    assert await guarded.request(None, "GET", "/health/live") == 200


async def test_a_scope_lets_through_what_it_says(guarded: Guarded) -> None:
    read, submit = guarded.add("reader", "read"), guarded.add("writer", "submit")
    cancel, admin = guarded.add("canceller", "cancel"), guarded.add("chief", "admin")
    assert await guarded.request(read, "GET", "/items") == 200
    assert await guarded.request(read, "POST", "/items", SUBMISSION) == 403
    assert await guarded.request(submit, "GET", "/items") == 403
    assert await guarded.request(submit, "POST", "/items", SUBMISSION) == 201
    assert await guarded.request(submit, "POST", "/items/token-1/cancel") == 403
    assert await guarded.request(read, "POST", "/items/token-1/cancel") == 403
    assert await guarded.request(cancel, "POST", "/items/token-1/cancel") in {200, 404}
    assert await guarded.request(admin, "GET", "/items/token-1") == 200


async def test_tokens_are_rotated_while_the_api_runs(guarded: Guarded) -> None:
    old = guarded.add("rotated", "read")
    assert await guarded.request(old, "GET", "/items") == 200
    new = guarded.add("rotated", "read")
    assert await guarded.request(old, "GET", "/items") == 401
    assert await guarded.request(new, "GET", "/items") == 200
    guarded.command("remove", "rotated")
    assert await guarded.request(new, "GET", "/items") == 401


async def test_two_tokens_of_a_client_are_good_until_one_is_removed(guarded: Guarded) -> None:
    scopes = ("read", "submit", "cancel")
    old, other = guarded.add("shop", *scopes), guarded.add("shopping", *scopes)
    body = SUBMISSION | {"item_id": "shop-1"}
    assert await guarded.request(old, "POST", "/items", body) == 201
    new = guarded.add("shop.2", *scopes)
    for token in (old, new):
        assert await guarded.request(token, "GET", "/items/shop-1") == 200
        assert await guarded.request(token, "POST", "/items", body) == 201  # as the first time
    assert await guarded.request(new, "POST", "/items", body | {"item_id": "shop-2"}) == 201
    assert await guarded.request(old, "POST", "/items/shop-2/cancel") == 200
    guarded.command("remove", "shop")
    assert await guarded.request(old, "GET", "/items/shop-1") == 401
    assert await guarded.request(new, "POST", "/items/shop-1/cancel") == 200
    assert await guarded.request(other, "GET", "/items/shop-1") == 404
    assert await guarded.request(new, "GET", "/items?client=shop") == 200


async def test_the_command_line_shows_its_token(guarded: Guarded) -> None:
    file = guarded.stack.path / "my-token"
    file.write_text(guarded.add("shell", "read") + "\n")
    environment = {"PATH": "/usr/bin:/bin", "XIAN_WORKFLOW_API_URL": guarded.stack.url}
    listing: list[str] = [str(guarded.stack.command), "items", "list"]
    refused = subprocess.run(listing, env=environment, capture_output=True, text=True, check=False)
    assert (refused.returncode, "401" in refused.stderr) == (1, True)
    environment["XIAN_WORKFLOW_API_TOKEN_FILE"] = str(file)
    subprocess.run(listing, env=environment, capture_output=True, check=True)


async def test_the_file_holds_hashes_and_belongs_to_its_owner_alone(guarded: Guarded) -> None:
    token = guarded.add("secret", "read")
    assert token not in guarded.file.read_text()
    assert guarded.file.stat().st_mode & 0o777 == 0o600
    assert '"secret"' in guarded.command("list")
