"""The stream of the client leaves no event out, however often its connection is lost."""

from http.server import BaseHTTPRequestHandler
from itertools import islice

import pytest

from workflow_backend_client import ApiError, ApiUnavailable, Client, _protocol

from .served import Answer, api, document


def sse(*numbers: int) -> bytes:
    """Events as the API sends them."""
    lines = (f'id: {n}-0-0.mark\ndata: {{"event_id": "{n}-0-0"}}\n\n' for n in numbers)
    return ("retry: 1000\n\n: still here\n\n" + "".join(lines)).encode()


def chain_of(last: int, seen: list[str | None]) -> Answer:
    """An API whose stream ends behind each two events; notes where each began."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.path.startswith("/activity"):
            document({"events": [{"event_id": "2-0-0"}]})(request)
            return
        begin = request.headers["Last-Event-ID"]
        seen.append(begin)
        first = int(begin.partition("-")[0]) + 1
        request.send_response(200)
        request.end_headers()
        request.wfile.write(sse(*range(first, min(first + 2, last + 1))))

    return answer


def test_stream_goes_on_where_its_connection_was_lost() -> None:
    seen: list[str | None] = []
    with api(chain_of(6, seen)) as url, Client(url) as client:
        events = list(islice(client.stream("0"), 6))
    assert [one.event["event_id"] for one in events] == [f"{n}-0-0" for n in range(1, 7)]
    assert seen == ["0", "2-0-0.mark", "4-0-0.mark"]


def test_stream_begins_with_the_next_event_and_knows_where_that_is() -> None:
    seen: list[str | None] = []
    with api(chain_of(4, seen)) as url, Client(url) as client:
        assert next(iter(client.stream())).cursor == "3-0-0.mark"
    assert seen == ["2-0-0"]


def test_stream_tells_a_refusal_at_once() -> None:
    with (
        api(document({"detail": "no event of ours"}, 422)) as url,
        Client(url) as client,
        pytest.raises(ApiError, match="no event of ours"),
    ):
        next(iter(client.stream("7-0-0")))


def test_stream_gives_up_once_the_api_was_away_for_so_long() -> None:
    with (
        Client("http://127.0.0.1:9", retry_seconds=0.3) as client,
        pytest.raises(ApiUnavailable),
    ):
        next(iter(client.stream("0")))


def test_stream_holds_no_line_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_protocol, "LINE_BYTES", 1000)
    lines = _protocol.EventLines()
    lines.feed(b"data: " + b"x" * 900)
    with pytest.raises(ApiUnavailable, match="a line of the stream"):
        lines.feed(b"x" * 200)


@pytest.mark.parametrize("line", [b"data: x\n", b"data\n"])
def test_stream_holds_no_event_without_an_end(monkeypatch: pytest.MonkeyPatch, line: bytes) -> None:
    monkeypatch.setattr(_protocol, "EVENT_BYTES", 1000)
    lines = _protocol.EventLines()
    for _ in range(10):  # each event has the whole limit
        assert lines.feed(b'data: {"a":\ndata: 1}\n' + b"data: \n" * 100 + b"\n")
    with pytest.raises(ApiUnavailable, match="an event has more than"):
        lines.feed(line * 1000)


def test_stream_puts_a_cut_event_together() -> None:
    lines = _protocol.EventLines()
    assert [event for byte in sse(7) for event in lines.feed(bytes([byte]))] == [
        ("7-0-0.mark", {"event_id": "7-0-0"})
    ]


@pytest.mark.parametrize("ident", ["\u00e9", "1-0-0\r.mark", "x" * 1000])
def test_stream_sends_no_id_back_that_is_none(ident: str) -> None:
    """It becomes a header of the next connection."""
    with pytest.raises(ApiUnavailable, match="an event's id that is none"):
        _protocol.EventLines().feed(f"id: {ident}\ndata: {{}}\n\n".encode())
