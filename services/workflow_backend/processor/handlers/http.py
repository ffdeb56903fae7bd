"""The handler `http`: the job is POSTed to a URL, and the status of the answer decides."""

import logging
import os
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp

from ...errors import SettingError
from .job import Answer, Job, completed, completed_by_text, seconds

log = logging.getLogger(__name__)

MAX_ANSWER = 65536
_AGAIN = frozenset({408, 425, 429})
_REASONS = (
    (aiohttp.ClientSSLError, "TLS with it fails"),
    (aiohttp.ClientConnectorError, "it can't be reached"),
    (TimeoutError, "it can't be reached in time"),
    ((aiohttp.ClientResponseError, aiohttp.ClientPayloadError), "it breaks HTTP"),
    ((aiohttp.ClientConnectionError, OSError), "the connection broke"),
)


class Http:
    """POSTs each job as JSON to `url`, with the token that `token_file` holds, if any."""

    def __init__(self, url: str, token_file: Path | None) -> None:
        self._url = url
        self._token_file = token_file
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open a session, and read the token once so that a missing file is found at the start."""
        self._headers()
        # The handlers' process limits the number of requests and their time.
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            connector=aiohttp.TCPConnector(limit=0),
            trust_env=False,
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _headers(self) -> dict[str, str]:
        # An answer that is compressed all the same is not JSON, and its size is limited.
        headers = {"Accept-Encoding": "identity"}
        if self._token_file is not None:
            headers["Authorization"] = f"Bearer {_token(self._token_file)}"
        return headers

    async def run(self, job: Job) -> Answer:
        """POST once. Redirects are not followed: the item's data goes to the named address only."""
        if self._session is None:
            raise RuntimeError("the handler is not started")
        try:
            headers = self._headers()
        except SettingError as error:
            log.warning("[%s]: %s", job.item["kind"], error)
            return Answer("retry", "the token for the service can't be read")
        try:
            async with self._session.post(
                self._url,
                json=job.as_dict(),
                headers={"Idempotency-Key": job.idempotency_key, **headers},
                allow_redirects=False,
            ) as response:
                status = response.status
                if 200 <= status < 300:
                    return await _result(response)
                if status in _AGAIN or status >= 500:
                    wait = retry_after(response.headers.get("Retry-After"), time.time())
                    return Answer("retry", f"the service answered {status}", wait)
                return Answer("failed", f"the service answered {status}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Answer("retry", f"no answer from the service: {_reason(error)}")


def _token(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"the token file {path} can't be read: {type(error).__name__}") from None
    if not token.isprintable():
        raise SettingError(f"the token file {path} holds more than one line: give the token alone")
    return token


def _reason(error: Exception) -> str:
    """Describe an error in words of our own: the library's quote the address with its query."""
    if type(error) is aiohttp.ClientConnectorError and error.os_error.errno:
        return os.strerror(error.os_error.errno)
    found = (text for types, text in _REASONS if isinstance(error, types))
    return next(found, type(error).__name__)


async def _result(response: aiohttp.ClientResponse) -> Answer:
    if response.status == 204:
        return completed(None)
    body = b""
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER:
            return Answer("failed", f"the service's answer is longer than {MAX_ANSWER} bytes")
    return completed_by_text(body.decode(errors="replace"))


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for, be it as a number or as a date."""
    if value is None:
        return None
    try:
        if value.strip().isdecimal():
            return seconds(float(value))
        return seconds(parsedate_to_datetime(value).timestamp() - now)
    except ValueError, OverflowError:
        return None
