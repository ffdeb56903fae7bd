"""JSON-RPC to a CometBFT node, one call or a batch, and the application's queries through it."""

import asyncio
import contextlib
from base64 import b64decode
from collections.abc import Iterator, Sequence
from typing import Any, Self

import aiohttp
from xian_runtime_types.decimal import ContractingDecimal
from xian_runtime_types.encoding import decode

from ..errors import NodeRefused, NodeUnavailable, NodeUnreachable
from ..outage_log import OutageLog
from ..printable import printable
from . import sessions

BATCH_LIMIT = 10
"""Requests in one POST: CometBFT's default for rpc.max_request_batch_size."""

REASON = 1_000
"""Characters of a node's reason that are shown at most."""

type Call = tuple[str, dict[str, Any]]


class Rpc:
    """A session with one node. Use it as an async context manager.

    `is_peer` is for a node that others run, of which less is taken.
    """

    def __init__(self, url: str, *, is_peer: bool = False) -> None:
        self.url = url
        self._is_peer = is_peer
        self._outage = OutageLog(f"the node at {url} answers again")
        self._session: aiohttp.ClientSession | None = None
        self._writing: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        reading = aiohttp.TCPConnector(limit=32)
        # A write has a connection of its own: that a kept one was closed shows only when it is
        # used, and then nobody can tell whether the request arrived.
        writing = aiohttp.TCPConnector(force_close=True)
        self._session = sessions.session(reading, is_peer=self._is_peer)
        self._writing = sessions.session(writing, is_peer=self._is_peer)
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in (self._session, self._writing):
            if session is not None:
                await session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        """The open HTTP session; raises RuntimeError outside `async with`."""
        if self._session is None:
            raise RuntimeError("Rpc is used outside 'async with'")
        return self._session

    async def call(self, method: str, **params: Any) -> Any:
        """Return one method's result; raises NodeUnavailable or NodeRefused."""
        with self._log_outage():
            answer = await self._post(self.session, _request(0, method, params))
            return self._result(answer, method)

    async def write(self, method: str, **params: Any) -> Any:
        """The same for a call that changes something: NodeUnreachable means it surely did not."""
        if self._writing is None:
            raise RuntimeError("Rpc is used outside 'async with'")
        with self._log_outage():
            answer = await self._post(self._writing, _request(0, method, params))
            return self._result(answer, method)

    async def batch(self, calls: Sequence[Call]) -> list[Any]:
        """Return the calls' results in their order, ten to a POST, the POSTs side by side."""
        groups = [calls[start : start + BATCH_LIMIT] for start in range(0, len(calls), BATCH_LIMIT)]
        with self._log_outage():
            answers = await asyncio.gather(*(self._batch(group) for group in groups))
        return [result for group in answers for result in group]

    @contextlib.contextmanager
    def _log_outage(self) -> Iterator[None]:
        """Log when the node goes away and when it is back, each outage once a minute at most."""
        try:
            yield
        except NodeUnavailable as error:
            self._outage.record_failure(error)
            raise
        self._outage.record_success()

    async def _batch(self, calls: Sequence[Call]) -> list[Any]:
        body = [_request(number, *call) for number, call in enumerate(calls)]
        answer = await self._post(self.session, body)
        entries = answer if isinstance(answer, list) else [answer]
        by_id = {
            entry["id"]: entry
            for entry in entries
            if isinstance(entry, dict) and isinstance(entry.get("id"), int)
        }
        missing = NodeUnavailable(f"{self.url} answered only a part of a batch")
        results = []
        for number, (method, _) in enumerate(calls):
            if number not in by_id:
                raise missing
            results.append(self._result(by_id[number], method))
        return results

    async def _post(self, session: aiohttp.ClientSession, body: Any) -> Any:
        try:
            async with session.post(self.url, json=body) as response:
                return await response.json(content_type=None)
        except aiohttp.ClientConnectorError as error:
            raise NodeUnreachable(
                f"no connection to the node at {self.url}: {error.strerror or error}"
            ) from error
        # Deep JSON ends in a RecursionError.
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RecursionError) as error:
            detail = str(error) or type(error).__name__
            raise NodeUnavailable(f"no answer from the node at {self.url}: {detail}") from error

    async def query(self, path: str) -> Any:
        """Return the decoded value that the application keeps under `path`, or None."""
        return self._value(await self.call("abci_query", path=path), path)

    async def queries(self, paths: Sequence[str]) -> list[Any]:
        """Return many values, in the order of their paths."""
        results = await self.batch([("abci_query", {"path": path}) for path in paths])
        return [self._value(result, path) for result, path in zip(results, paths, strict=True)]

    def is_no_node(self) -> NodeUnavailable:
        """The error for an answer that no node gives: a wrong address is the usual reason."""
        return NodeUnavailable(f"what answers at {self.url} is not a node")

    def _result(self, answer: Any, method: str) -> dict[str, Any]:
        match answer:
            case {"error": dict() as error}:
                reason = printable(str(error.get("data") or error.get("message"))[:REASON])
                # The app refuses in an answer of its own: this is CometBFT, whose app has gone or
                # comes back. Whether a transaction reached it before, nobody knows.
                if method == "abci_query" or "appConn" in reason:
                    raise NodeUnavailable(f"the app of the node at {self.url} is away: {reason}")
                if "catching up" in reason:  # it takes no transaction then, and this one neither
                    raise NodeUnreachable(f"the node at {self.url} is behind: {reason}")
                raise NodeRefused(f"{method}: {reason}", hint="")
            case {"result": dict() as result}:
                return result
        raise self.is_no_node()

    def _value(self, result: dict[str, Any], path: str) -> Any:
        response = result.get("response")
        if not isinstance(response, dict):
            raise self.is_no_node()
        if response.get("code", 0) != 0:
            raise NodeRefused(f"query {path}: {response.get('log') or 'refused'}")
        raw = response.get("value")
        if raw is None or raw == "AA==":
            return None
        try:
            return _decoded(raw, response.get("info"))
        # What decodes it was made for values of this chain, and fails in many ways.
        except (TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            raise self.is_no_node() from error


def _request(number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def _decoded(raw: str, kind: Any) -> Any:
    text = b64decode(raw).decode()
    match kind:
        case "dict" | "list":
            value = decode(text)
            if not isinstance(value, dict | list):  # it returns None for what it can't read
                raise TypeError
            return value
        case "int":
            return int(text)
        case "bool":
            return text == "True"
        case "decimal":
            return ContractingDecimal(text)
        case _:
            return text
