"""The client of the API gives its token to one address, and takes no more than it can hold."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from workflow_backend import client
from workflow_backend.client import ApiClient, ApiError, ApiUnavailable

type Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def api(answer: Answer) -> Iterator[str]:
    """An API that answers as `answer` does; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def body(text: bytes, code: int = 200) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        request.end_headers()
        request.wfile.write(text)

    return answer


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_client_gives_its_token_to_no_other_address(code: int) -> None:
    led: list[str] = []

    def elsewhere(request: BaseHTTPRequestHandler) -> None:
        led.append(request.headers["Authorization"])
        body(b"{}")(request)

    with api(elsewhere) as other:

        def redirect(request: BaseHTTPRequestHandler) -> None:
            request.send_response(code)
            request.send_header("Location", f"{other}/items\t\x1b[2J")
            request.end_headers()

        with api(redirect) as url:
            there = ApiClient(url, token="a-secret")
            with pytest.raises(ApiError, match=f"{code}, a redirect to '{other}") as refused:
                there.items(None, 1)
            assert "\x1b" not in str(refused.value)
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
    with api(proxy) as other, api(body(b'{"items": []}')) as url:
        monkeypatch.setenv("http_proxy", other)
        for named in (url, url.replace("127.0.0.1", "localhost")):
            assert ApiClient(named, token="a-secret").items(None, 1) == {"items": []}
    assert led == []


def test_client_stops_reading_an_answer_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ANSWER_BYTES", 1 << 20)

    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            while True:
                request.wfile.write(b" " * (1 << 16))
        except OSError:
            pass

    with api(endless) as url, pytest.raises(ApiUnavailable, match="more than 1 MiB"):
        ApiClient(url).items(None, 1)


def test_client_stops_waiting_for_an_answer_in_drops() -> None:
    def drops(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            while not over.wait(0.01):
                request.wfile.write(b" ")
        except OSError:
            pass

    over = threading.Event()
    with api(drops) as url:
        with pytest.raises(ApiUnavailable, match="does not end"):
            ApiClient(url, timeout=0.2).items(None, 1)
        over.set()


@pytest.mark.parametrize("text", [b"[" * 200_000, b"[]", b"7", b"\xff", json.dumps("x").encode()])
def test_client_names_an_answer_of_no_api(text: bytes) -> None:
    with api(body(text)) as url, pytest.raises(ApiUnavailable, match=url):
        ApiClient(url).items(None, 1)
    with api(body(text, code=500)) as url, pytest.raises(ApiError, match="500"):
        ApiClient(url).items(None, 1)
