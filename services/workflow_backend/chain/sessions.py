"""HTTP sessions with nodes: answers are bounded, not compressed, and from nowhere else."""

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, hdrs

NODE_BYTES = 256 << 20
"""Bytes of one answer at most, of a node of one's own: a page of events may be large."""

PEER_BYTES = 32 << 20
"""Bytes of all answers of a session at most, of a node that nobody has to believe.

Read as JSON they may take twenty times as much memory.
"""


class _Bounded(ClientResponse):
    """An answer that is read up to a limit; `left` is what a session may still read, in bytes."""

    most_bytes = NODE_BYTES
    left: list[int] | None = None

    async def read(self) -> bytes:
        """Return the body; raises ClientPayloadError for one that is too large."""
        if self._body is None:
            parts, size = [], 0
            async for part in self.content.iter_any():
                size += len(part)
                if self.left is not None:
                    self.left[0] -= len(part)
                if size > self.most_bytes or (self.left is not None and self.left[0] < 0):
                    self.close()
                    raise aiohttp.ClientPayloadError(
                        f"its answers have more than {self.most_bytes >> 20} MiB"
                    )
                parts.append(part)
            self._body = b"".join(parts)
        return await super().read()


def _of_a_peer() -> type[_Bounded]:
    """Return a kind of answers that count together."""
    return type("_PeerAnswer", (_Bounded,), {"most_bytes": PEER_BYTES, "left": [PEER_BYTES]})


async def _as_it_is(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Refuse what leads elsewhere, and what unpacks to something larger."""
    response = await handler(request)
    if 300 <= response.status < 400:
        response.close()
        raise aiohttp.ClientPayloadError("it redirects, and no node does")
    if response.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        response.close()
        raise aiohttp.ClientPayloadError("its answer is compressed, which was not asked for")
    return response


TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=3, sock_read=20)


def session(connector: aiohttp.TCPConnector, *, is_peer: bool = False) -> aiohttp.ClientSession:
    """Return a session for one node; its answers raise aiohttp.ClientError where they are odd.

    `is_peer` is for a node that others run: less is taken from it.
    """
    return aiohttp.ClientSession(
        connector=connector,
        timeout=TIMEOUT,
        headers={hdrs.ACCEPT_ENCODING: "identity"},
        auto_decompress=False,
        middlewares=(_as_it_is,),
        response_class=_of_a_peer() if is_peer else _Bounded,
    )
