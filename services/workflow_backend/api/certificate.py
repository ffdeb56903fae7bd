"""The API's certificate: read at the start, and anew when its files change, for new connections."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from ..background import background
from ..errors import SettingError

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0

type _Seen = tuple[tuple[int, int, int], ...]


class Certificate:
    """A certificate with its chain in one file and its key in another, both PEM."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._trouble = ""
        self._seen = self._look()
        self._context = self._load()

    @property
    def context(self) -> ssl.SSLContext:
        """What a server takes; a renewed certificate comes into the same one."""
        return self._context

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[Certificate]:
        """Take in renewed files for as long as the block runs."""
        async with background(self._watch(), "certificate"):
            yield self

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.renew()

    def renew(self) -> None:
        """Take in the files where they changed; the old ones serve until the new ones fit."""
        try:
            seen = self._look()
            if seen == self._seen:
                self._trouble = ""
                return
            self._seen = seen
            self._load()  # into a context of its own first: half a pair must not reach the server
            self._load_into(self._context)
        except SettingError as error:
            if str(error) != self._trouble:  # it is looked for each second
                self._trouble = str(error)
                log.warning("the certificate is not renewed: %s", error)
        else:
            self._trouble = ""
            log.info("the certificate is renewed from %s", self._files[0])

    def _look(self) -> _Seen:
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
            # The empty password is for a key that needs one: else the terminal would be asked.
            context.load_cert_chain(certificate, key, password="")
        except (ssl.SSLError, OSError) as error:
            reason = error.strerror or error
            raise SettingError(
                f"{certificate} and {key} are no certificate and its key: {reason}",
                hint="give both as PEM, the key without a password",
            ) from None
