"""What a PostgreSQL DSN says, as an address (postgresql://...) or as words (host=... user=...)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

SCHEMES = frozenset({"postgres", "postgresql"})
PORT = 5432

_WORD = re.compile(r"""\b(\w+)\s*=\s*(?:'([^']*)'|(\S+))""")


@dataclass(frozen=True, slots=True)
class Dsn:
    """The parts of a DSN; those that it does not have are empty or None.

    `scheme` is empty for a DSN of words. `host` is a name, an address without brackets, or the
    folder of a socket. `servers` are all that are given, as they are given; `host` and `port` are
    the first one's. `options` are those behind the question mark.
    """

    scheme: str
    user: str
    password: str | None
    host: str
    port: int | None
    database: str
    servers: tuple[str, ...]
    options: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read a DSN; None where it is none that can be read."""
        text = text.strip()
        if "://" not in text:
            return cls._of_words(text)
        try:
            parts = urlsplit(text)
            options = dict(parse_qsl(parts.query))
            servers = (parts.netloc.rpartition("@")[2] or options.get("host", "")).split(",")
            port = parts.port if len(servers) == 1 else None
        except ValueError:
            return None
        return cls(
            parts.scheme,
            unquote(parts.username or "") or options.get("user", ""),
            unquote(parts.password) if parts.password else options.get("password"),
            unquote(parts.hostname or options.get("host", "")),
            port,
            parts.path.removeprefix("/"),
            tuple(servers),
            options,
        )

    @classmethod
    def _of_words(cls, text: str) -> Self:
        words = {match[1]: match[2] or match[3] or "" for match in _WORD.finditer(text)}
        port = words.get("port", "")
        host = words.get("host", "")
        return cls(
            "",
            words.get("user", ""),
            words.get("password"),
            host,
            int(port) if port.isascii() and port.isdigit() else None,
            words.get("dbname", ""),
            (host,),
            {},
        )

    @property
    def is_address(self) -> bool:
        """Whether it is the address of a PostgreSQL database."""
        return self.scheme in SCHEMES

    @property
    def is_local(self) -> bool:
        """Whether every server is a socket or on loopback."""
        return all(map(is_local, self.servers))


def is_local(server: str) -> bool:
    """Tell whether a server, with or without its port, is a socket or on loopback."""
    text = unquote(server)
    if text.startswith("/"):
        return True
    if text.count(":") > 1 and not text.startswith("["):
        name = text
    else:
        name = text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]
    try:
        return name in {"", "localhost"} or ip_address(name).is_loopback
    except ValueError:
        return False
