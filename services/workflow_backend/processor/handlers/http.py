"""The handler `http`: the job is POSTed to a URL, the answer's status decides."""

import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp

from ...errors import SettingError
from .job import Answer, Job, completed, completed_by_text

MAX_ANSWER = 65536
_AGAIN = frozenset({408, 425, 429})


class Http:
    """POSTs each job as JSON to `url`, with the token that `token_file` holds, if any."""

    def __init__(self, url: str, token_file: Path | None) -> None:
        self._url = url
        self._token_file = token_file
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Read the token once, so that a file that is not there is found early."""
        self._headers()
        # The handlers' process bounds how many run at once and for how long.
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            connector=aiohttp.TCPConnector(limit=0),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _headers(self) -> dict[str, str]:
        if self._token_file is None:
            return {}
        try:
            token = self._token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(
                f"the token file {self._token_file} can't be read: {type(error).__name__}"
            ) from None
        return {"Authorization": f"Bearer {token}"}

    async def run(self, job: Job) -> Answer:
        """POST once. Redirects are not followed: the item's data goes to the named place only."""
        if self._session is None:
            raise RuntimeError("the handler is not started")
        try:
            async with self._session.post(
                self._url,
                json=job.as_dict(),
                headers={"Idempotency-Key": job.idempotency_key, **self._headers()},
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


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


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
    """Return the seconds that a Retry-After header asks for: it gives them, or a date."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return None
