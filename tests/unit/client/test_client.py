"""The client gives its token to one address, repeats what is safe, and bounds what it reads."""

import asyncio
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from workflow_backend_client import (
    ApiError,
    ApiUnavailable,
    AsyncClient,
    Client,
    WaitTimeout,
    _protocol,
)

from .served import api, body, document, in_turn

ITEM: Any = {"item_id": "i", "status": "submitted"}
PAGE: Any = {"count": 0, "items": [], "next_cursor": None}


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_client_gives_its_token_to_no_other_address(code: int) -> None:
    led: list[str] = []

    def elsewhere(request: BaseHTTPRequestHandler) -> None:
        led.append(request.headers["Authorization"])
        body(b"{}")(request)

    with api(elsewhere) as other:

        def redirect(request: BaseHTTPRequestHandler) -> None:
            request.send_response(code)
            request.send_header("Location", f"{other}/items")
            request.end_headers()

        with api(redirect) as url, Client(url, token="a-secret") as there:
            with pytest.raises(ApiError, match=f"{code} a redirect to '{other}"):
                there.list_items()
            with pytest.raises(ApiError, match="a redirect"):
                there.submit("i", "urn:i")
    assert led == []


def test_client_asks_an_api_of_this_machine_through_no_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    led: list[str] = []

    def proxy(request: BaseHTTPRequestHandler) -> None:
        led.append(request.headers["Authorization"])
        body(b"{}")(request)

    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with api(proxy) as other, api(document(PAGE)) as url:
        monkeypatch.setenv("http_proxy", other)
        for named in (url, url.replace("127.0.0.1", "localhost")):
            with Client(named, token="a-secret") as client:
                assert client.list_items() == PAGE
    assert led == []


def test_client_stops_reading_an_answer_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_protocol, "ANSWER_BYTES", 1 << 20)

    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            while True:
                request.wfile.write(b" " * (1 << 16))
        except OSError:
            pass

    with (
        api(endless) as url,
        Client(url, retry_seconds=0) as client,
        pytest.raises(ApiUnavailable, match="more than 1 MiB"),
    ):
        client.list_items()


def test_client_stops_waiting_for_an_answer_in_drops() -> None:
    over = threading.Event()

    def drops(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            while not over.wait(0.01):
                request.wfile.write(b" ")
        except OSError:
            pass

    with api(drops) as url, Client(url, timeout=0.2, retry_seconds=0) as client:
        with pytest.raises(ApiUnavailable, match="does not end"):
            client.list_items()
        over.set()


def test_client_unpacks_no_answer() -> None:
    asked: list[str] = []

    def packed(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.headers["Accept-Encoding"])
        body(b"\x1f\x8b" + b"x" * 100, Content_Encoding="gzip")(request)

    with (
        api(packed) as url,
        Client(url, retry_seconds=0) as client,
        pytest.raises(ApiUnavailable, match="is not the API"),
    ):
        client.list_items()
    assert asked == ["identity"]


@pytest.mark.parametrize("text", [b"[" * 200_000, b"[]", b"7", b"\xff", b'"x"'])
def test_client_names_an_answer_of_no_api(text: bytes) -> None:
    with (
        api(body(text)) as url,
        Client(url, retry_seconds=0) as client,
        pytest.raises(ApiUnavailable, match="is not the API"),
    ):
        client.list_items()
    with (
        api(body(text, 500)) as url,
        Client(url) as client,
        pytest.raises(ApiError, match="500 without a reason"),
    ):
        client.list_items()


def test_client_says_which_fields_are_wrong() -> None:
    wrong = [{"field": "kind", "message": "kind must be a name"}]
    refused = document({"detail": "not valid", "errors": wrong}, 422)
    with api(refused) as url, Client(url) as client, pytest.raises(ApiError) as raised:
        client.submit("i", "urn:i", kind="?")
    assert raised.value.status == 422
    assert raised.value.fields == {"kind": "kind must be a name"}
    assert str(raised.value) == "POST /items: 422 not valid; kind must be a name"


BUSY = document({"detail": "busy"}, 503, Retry_After="0")
ACCEPTED: Any = {"item_id": "i", "tx_hash": "A", "finalized": True, "item": None}


def test_client_repeats_a_submission_while_the_api_is_busy() -> None:
    with api(in_turn(BUSY, BUSY, document(ACCEPTED, 201))) as url, Client(url) as client:
        assert client.submit("i", "urn:i") == ACCEPTED


def test_client_repeats_nothing_that_is_not_safe_to_repeat() -> None:
    actions: list[Callable[[Client], Any]] = [lambda c: c.cancel("i"), lambda c: c.retry("i")]
    for act in actions:
        answers = in_turn(BUSY, document(ACCEPTED))
        with api(answers) as url, Client(url) as client, pytest.raises(ApiError, match="503"):
            act(client)


def test_client_gives_up_once_the_api_was_away_for_so_long() -> None:
    with (
        Client("http://127.0.0.1:9", retry_seconds=0.3) as client,
        pytest.raises(ApiUnavailable, match=r"127\.0\.0\.1:9"),
    ):
        client.list_items()


def test_client_waits_until_an_item_is_settled() -> None:
    done = ITEM | {"status": "completed"}
    with (
        api(in_turn(document({"item": ITEM}), document({"item": done}))) as url,
        Client(url) as client,
    ):
        assert client.wait("i", seconds=5) == done


def test_client_says_what_an_item_was_when_the_wait_ended() -> None:
    with (
        api(document({"item": ITEM})) as url,
        Client(url) as client,
        pytest.raises(WaitTimeout, match="still submitted") as raised,
    ):
        client.wait("i", seconds=0.2)
    assert raised.value.status == "submitted"


def test_client_watches_each_change_once() -> None:
    done = ITEM | {"status": "failed"}
    answers = in_turn(*(document({"item": one}) for one in (ITEM, ITEM, done)))
    with api(answers) as url, Client(url) as client:
        assert list(client.watch("i", poll_seconds=0.01)) == [ITEM, done]


@pytest.mark.parametrize("item_id", ["", ".", "..", "a/../b", "a?b", "%2e%2e"])
def test_client_leaves_the_path_of_items_by_no_id(item_id: str) -> None:
    asked: list[str] = []

    def note(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        document({"detail": "not valid: item_id"}, 422)(request)

    with api(note) as url, Client(url) as client:
        for ask in (client.get, client.stop, client.cancel, client.retry):
            with pytest.raises(ApiError, match="not valid: item_id"):
                ask(item_id)
    assert all(path.removeprefix("/items/").strip(".").count("/") <= 1 for path in asked)
    assert not any(part in {"", ".", ".."} for path in asked for part in path.split("/")[1:])


def test_client_goes_through_all_pages() -> None:
    asked: list[str] = []

    def pages(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        cursor = None if "cursor=two" in request.path else "two"
        document({"count": 1, "items": [ITEM], "next_cursor": cursor})(request)

    with api(pages) as url, Client(url) as client:
        assert list(client.iterate_items(status="submitted", limit=1)) == [ITEM, ITEM]
    assert asked == [
        "/items?status=submitted&limit=1",
        "/items?status=submitted&limit=1&cursor=two",
    ]


def test_client_refuses_an_unknown_filter() -> None:
    with (
        Client("http://127.0.0.1:9") as client,
        pytest.raises(TypeError, match="no filter 'state'"),
    ):
        client.list_items(state="submitted")  # type: ignore[call-arg]


def test_client_is_awaited_too() -> None:
    async def use(url: str) -> None:
        async with AsyncClient(url) as client:
            assert await client.submit("i", "urn:i") == ACCEPTED

    with api(in_turn(BUSY, document(ACCEPTED, 201))) as url:
        asyncio.run(use(url))


def test_client_without_a_token_shows_none() -> None:
    shown: list[str | None] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        shown.append(request.headers["Authorization"])
        document(PAGE)(request)

    with api(answer) as url, Client(url, token="") as client:
        client.list_items()
    assert shown == [None]


def test_client_shows_a_token_that_can_be_none_to_nobody() -> None:
    with pytest.raises(ValueError, match="printable") as refused:
        Client("http://127.0.0.1:9", token="secret\nline")
    assert "secret" not in str(refused.value)
