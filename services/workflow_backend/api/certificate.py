"""The API's certificate: reloaded for new connections when its files change."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from ..background import background
from ..errors import SettingError

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0

type _FileState = tuple[tuple[int, int, int], ...]


class Certificate:
    """A certificate with its chain in one file and its key in another, both PEM."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._error = ""
        self._loaded_state = self._file_state()
        self._context = self._load()

    @property
    def context(self) -> ssl.SSLContext:
        """What a server takes; a renewed certificate comes into the same one."""
        return self._context

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[Certificate]:
        """Reload changed files for as long as the block runs."""
        async with background(self._watch(), "certificate"):
            yield self

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            self.reload()

    def reload(self) -> None:
        """Load the files if they changed; the old pair serves until the new one is valid."""
        try:
            state = self._file_state()
            if state == self._loaded_state:
                self._error = ""
                return
            self._loaded_state = state
            self._load()  # into a separate context first: half a pair must not reach the server
            self._load_into(self._context)
        except SettingError as error:
            if str(error) != self._error:  # it is polled every second
                self._error = str(error)
                log.warning("the certificate is not renewed: %s", error)
        else:
            self._error = ""
            log.info("the certificate is renewed from %s", self._files[0])

    def _file_state(self) -> _FileState:
        try:
            states = [path.stat() for path in self._files]
        except OSError as error:
            raise SettingError(f"{error.filename} can't be read: {error.strerror}") from error
        return tuple((state.st_mtime_ns, state.st_ino, state.st_size) for state in states)

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._load_into(context)
        return context

    def _load_into(self, context: ssl.SSLContext) -> None:
        certificate, key = self._files
        try:
            # An empty password keeps OpenSSL from asking the terminal for one.
            context.load_cert_chain(certificate, key, password="")
        except (ssl.SSLError, OSError) as error:
            reason = error.strerror or error
            raise SettingError(
                f"{certificate} and {key} are not a certificate and its key: {reason}",
                hint="give both as PEM, the key without a password",
            ) from None
