"""What is the same for both clients: requests, their bounds, and what answers mean."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from .errors import ApiError, ApiUnavailable
from .models import ListFilters

ANSWER_BYTES = 64 << 20
"""Bytes of an answer at most."""

LINE_BYTES = 1 << 20
"""Bytes of a line of the stream at most."""

EVENT_BYTES = 4 << 20
"""Bytes of all lines of one event of the stream at most."""

ID_CHARACTERS = 512
"""Characters of an event's id at most."""

STREAM_IDLE_SECONDS = 45.0
"""How long a stream may be silent: the API sends a comment every 15 seconds."""

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0

_TEMPORARY = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class Call:
    """A request to the API. `seconds` is how long the API may wait before it answers."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    is_repeatable: bool = True
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def query(self) -> dict[str, str]:
        """The parameters that have a value, as texts."""
        return {name: _text(one) for name, one in self.params.items() if one is not None}


def item_path(item_id: str, action: str = "") -> str:
    """Return the path of an item, or of something that is done to it.

    Raises ApiError, as the API answers any id that is none, for one that would name another path.
    """
    path = f"/items/{quote(item_id, safe='')}"
    if item_id in {"", ".", ".."}:
        raise ApiError(path, 422, "not valid: item_id")
    return f"{path}/{action}" if action else path


def activity_path(item_id: str | None) -> str:
    """Return the path of the events of one item, or of all."""
    return "/activity/recent" if item_id is None else item_path(item_id, "activity")


def submission(
    required: Mapping[str, str],
    priority: int | None,
    not_before: datetime | str | None,
    after: Sequence[str],
) -> dict[str, Any]:
    """Return the body of a submission; rules that nobody gave are left out."""
    body: dict[str, Any] = dict(required)
    if priority is not None:
        body["priority"] = priority
    if not_before is not None:
        body["not_before"] = _text(not_before)
    if after:
        body["after"] = list(after)
    return body


def list_call(path: str, filters: Mapping[str, Any], known: type[ListFilters]) -> Call:
    """Return the request for a page of a list; raises TypeError for a filter that is not known."""
    for name in filters:
        if name not in known.__annotations__:
            raise TypeError(f"{path} has no filter {name!r}")
    return Call("GET", path, filters)


def trust(url: str, ca_file: str | Path | None) -> ssl.SSLContext:
    """Return what certificates are held to; raises OSError for a file that has no authorities."""
    if url.startswith("https:"):
        return ssl.create_default_context(cafile=ca_file)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and is not needed


def is_loopback(url: str) -> bool:
    """Tell whether a URL names this machine, so that no proxy may come between."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def parse(content: bytes) -> dict[str, Any]:
    """Return an answer; raises ApiUnavailable for what is not a JSON object."""
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ApiUnavailable(f"what answers is not the API: {error}") from None
    if not isinstance(answer, dict):
        raise ApiUnavailable("what answers is not the API: it sent no JSON object")
    return answer


def refusal(call: Call, status: int, headers: Mapping[str, str], content: bytes) -> ApiError:
    """Return the error that a status other than 2xx means."""
    if 300 <= status < 400:
        target = headers.get("location", "elsewhere")
        return ApiError(str(call), status, f"a redirect to {target!r}, which is not followed")
    detail, fields = "", {}
    try:
        problem = json.loads(content)
        detail = str(problem["detail"])
        fields = {str(one["field"]): str(one["message"]) for one in problem.get("errors") or ()}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        detail = detail or "without a reason"
    return ApiError(str(call), status, detail, fields, _seconds(headers.get("retry-after")))


def pause_before_retry(error: Exception, pause: float) -> float | None:
    """Return the seconds to wait before the request is repeated; None where that is no use."""
    if isinstance(error, ApiUnavailable):
        return pause
    if isinstance(error, ApiError) and error.status in _TEMPORARY:
        return max(pause, error.retry_after or 0.0)
    return None


class EventLines:
    """Puts the lines of a stream of server-sent events together."""

    def __init__(self) -> None:
        self._id = ""
        self._data: list[str] = []
        self._size = 0  # bytes of the lines of the data, with what ends them
        self._rest = b""

    def feed(self, content: bytes) -> list[tuple[str, dict[str, Any]]]:
        """Take the next bytes; return the id and the data of each event that ends in them."""
        *lines, self._rest = (self._rest + content).split(b"\n")
        if len(self._rest) > LINE_BYTES:
            raise ApiUnavailable(f"a line of the stream has more than {LINE_BYTES >> 20} MiB")
        return [event for line in lines if (event := self._take(line)) is not None]

    def _take(self, line: bytes) -> tuple[str, dict[str, Any]] | None:
        text = line.rstrip(b"\r").decode("utf-8", "replace")
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            # It goes back as a header.
            if not (value.isascii() and value.isprintable() and len(value) <= ID_CHARACTERS):
                raise ApiUnavailable("what answers is no API: it sent an event's id that is none")
            self._id = value
        elif name == "data":
            self._size += len(line) + 1
            if self._size > EVENT_BYTES:
                raise ApiUnavailable(f"an event has more than {EVENT_BYTES >> 20} MiB")
            self._data.append(value)
        elif not text and self._data:
            data, self._data, self._size = "\n".join(self._data), [], 0
            return self._id, parse(data.encode())
        return None


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isascii() and text.isdigit() and len(text) < 6 else None
