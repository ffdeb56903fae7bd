"""The handler `http`, with services of every sort."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from workflow_backend.processor.handler_client import HandlerClient
from workflow_backend.processor.handlers.http import retry_after
from workflow_backend.processor.handlers.job import Answer

from .harness import Handlers


@contextlib.asynccontextmanager
async def service(answers: list[web.Response]) -> AsyncIterator[tuple[str, list[Any]]]:
    """A service that gives these answers in turn, and notes what it was asked."""
    asked: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((dict(request.headers), await request.json()))
        return answers[len(asked) - 1]

    app = web.Application()
    app.router.add_post("/do", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert isinstance(site._server, asyncio.Server)
    port = site._server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/do", asked
    finally:
        await runner.cleanup()


class TestHttp:
    async def test_the_status_decides(self, handlers: Handlers) -> None:
        cases = [
            (web.json_response({"result_uri": "https://r"}), Answer("completed", "https://r")),
            (web.Response(status=204), Answer("completed", "")),
            (web.Response(status=202), Answer("completed", "")),
            (web.Response(text="<html>"), Answer("completed", "")),
            (web.json_response({"ok": True}), Answer("completed", "")),
            (web.json_response(["done"]), Answer("completed", "")),
            (
                web.json_response({"result_uri": 5}),
                Answer("failed", "the handler's result_uri is not a text"),
            ),
            (web.Response(status=404), Answer("failed", "the service answered 404")),
            (
                web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
                Answer("failed", "the service answered 302"),
            ),
            (
                web.Response(status=429, headers={"Retry-After": "9"}),
                Answer("retry", "the service answered 429", 9.0),
            ),
            (web.Response(status=503), Answer("retry", "the service answered 503")),
        ]
        (handlers.path / "token").write_text("secret\n")
        async with service([response for response, _ in cases]) as (url, asked):
            handlers.start(
                f'[web]\nhandler = "http"\nurl = "{url}"\ntoken_file = "token"\n'
                '[away]\nhandler = "http"\nurl = "http://127.0.0.1:1/"\n'
            )
            async with HandlerClient(handlers.socket, asyncio.Event()).running() as client:
                for _, expected in cases:
                    assert await client.run(handlers.job("web", "w", number=2), 20) == expected
                away = await client.run(handlers.job("away", "a"), 20)
                assert (away.outcome, away.text[:26]) == ("retry", "no answer from the service")
        headers, body = asked[0]
        assert headers["Idempotency-Key"] == body["idempotency_key"] == "chain/con/w"
        assert headers["Authorization"] == "Bearer secret"
        assert (body["item"]["item_id"], body["attempt"], body["try"]) == ("w", 4, 2)

    def test_retry_after_may_be_a_date(self) -> None:
        now = 1_700_000_000.0  # 2023-11-14 22:13:20
        assert retry_after("Tue, 14 Nov 2023 22:13:50 GMT", now) == 30.0
        assert retry_after("Tue, 14 Nov 2023 22:13:00 GMT", now) == 0.0
        assert retry_after("soon", now) is None
        assert retry_after(None, now) is None


async def test_address_with_a_secret_gets_into_no_reason(handlers: Handlers) -> None:
    """The library's own texts quote the address, query and all."""

    async def break_http(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"this is no HTTP\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(break_http, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    urls = {
        "breaks": f"http://127.0.0.1:{port}/do?token=hidden",
        "away": "http://me:hidden@127.0.0.1:1/do?token=hidden",
        "tls": f"https://127.0.0.1:{port}/do?token=hidden",
    }
    async with server:
        handlers.start(
            "".join(f'[{kind}]\nhandler = "http"\nurl = "{urls[kind]}"\n' for kind in urls)
        )
        async with HandlerClient(handlers.socket, asyncio.Event()).running() as client:
            answers = [await client.run(handlers.job(kind, kind), 20) for kind in urls]
    assert answers == [
        Answer("retry", "no answer from the service: it breaks HTTP"),
        Answer("retry", "no answer from the service: Connection refused"),
        Answer("retry", "no answer from the service: TLS with it fails"),
    ]
    assert "hidden" not in (handlers.path / "log").read_text()
