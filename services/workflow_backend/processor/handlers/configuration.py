"""The handlers' file: a TOML table for each kind, checked as a whole before anything starts."""

import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ...errors import SettingError
from .command import Command
from .http import Http
from .job import Echo, Handler
from .kinds import MAX_COUNT, MAX_SECONDS, Kind, RetryPolicy
from .python import Python

_KIND = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_MISSING = object()
_SECONDS = f"seconds, above 0 and at most {MAX_SECONDS:.0f}"
_COUNT = f"a number from 1 to {MAX_COUNT}"

SMOKE = "smoke"
"""The kind of the smoke test; echoed unless the file says otherwise."""


def load(path: Path, *, elsewhere: bool = False) -> dict[str, tuple[Kind, Handler]]:
    """Read the file; raises SettingError naming file, table and key.

    A file for `elsewhere` may name programs that this machine does not have.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingError(
            f"the handlers' file {path} can't be read: {reason}",
            hint="name a TOML file in XIAN_WORKFLOW_HANDLERS",
        ) from error
    if not tables:
        raise SettingError(f"the handlers' file {path} has no table: write one for each kind")
    tables.setdefault(SMOKE, {"handler": "echo"})
    return {name: _kind(_Table(path, name, table, elsewhere)) for name, table in tables.items()}


class _Table:
    """One table. Its keys are taken out one by one, so that those left in the end are unknown."""

    def __init__(self, path: Path, name: str, values: Any, elsewhere: bool) -> None:
        if not isinstance(values, dict):
            raise SettingError(f"{path}: {name} is not in a table: write [kind] above it")
        self._path = path
        self.name = name
        self.elsewhere = elsewhere
        self._values = dict(values)

    def wrong(self, key: str, what: str) -> SettingError:
        return SettingError(f"{self._path}: [{self.name}] {key} {what}")

    def take[T](
        self, key: str, check: Callable[[Any], T | None], what: str, default: Any = _MISSING
    ) -> T:
        value = self._values.pop(key, default)
        if value is _MISSING:
            raise self.wrong(key, f"is missing: it must be {what}")
        checked = check(value)
        if checked is None:
            raise self.wrong(key, f"must be {what}, it is {value!r}")
        return checked

    def table(self, key: str) -> _Table:
        values = self.take(key, lambda v: v if isinstance(v, dict) else None, "a table", {})
        return _Table(self._path, f"{self.name}.{key}", values, self.elsewhere)

    def end(self) -> None:
        for key in self._values:
            raise self.wrong(key, "is not a key of this table")


def _kind(table: _Table) -> tuple[Kind, Handler]:
    if not _KIND.fullmatch(table.name):
        raise table.wrong("", "is not a kind: use 1 to 64 of the characters A-Z a-z 0-9 _ -")
    name = table.take("handler", _handler_name, f"one of {', '.join(_HANDLERS)}")
    make, concurrency = _HANDLERS[name]
    retry = table.table("retry")
    kind = Kind(
        concurrency=table.take("concurrency", _count, _COUNT, concurrency),
        timeout_seconds=table.take("timeout_seconds", _seconds, _SECONDS, 60.0),
        retry=RetryPolicy(
            tries=retry.take("tries", _count, _COUNT, 5),
            first_seconds=retry.take("first_seconds", _seconds, _SECONDS, 1.0),
            longest_seconds=retry.take("longest_seconds", _seconds, _SECONDS, 300.0),
        ),
    )
    retry.end()
    handler = make(table)
    table.end()
    return kind, handler


def _handler_name(value: Any) -> str | None:
    return value if isinstance(value, str) and value in _HANDLERS else None


def _count(value: Any) -> int | None:
    return value if type(value) is int and 1 <= value <= MAX_COUNT else None


def _seconds(value: Any) -> float | None:
    return float(value) if type(value) in {int, float} and 0 < value <= MAX_SECONDS else None


def _echo(_: _Table) -> Handler:
    return Echo()


def _http(table: _Table) -> Handler:
    url = table.take("url", _url, "an http:// or https:// address")
    token = table.take("token_file", _path, "the path of a file", "")
    return Http(url, Path(token) if token else None)


def _command(table: _Table) -> Handler:
    argv = table.take("argv", _argv, 'a list of texts, such as ["/usr/bin/program", "--option"]')
    if not table.elsewhere and shutil.which(argv[0]) is None:
        raise table.wrong("argv", f"names a program that is not there or can't be run: {argv[0]}")
    return Command(argv)


def _python(table: _Table) -> Handler:
    return Python(table.take("function", _target, '"package.module:function"'))


def _url(value: Any) -> str | None:
    try:
        parts = urlsplit(value)
        valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError, AttributeError, TypeError:
        valid = False
    return value if valid else None


def _path(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _argv(value: Any) -> list[str] | None:
    valid = isinstance(value, list) and value and all(isinstance(v, str) and v for v in value)
    return value if valid else None


def _target(value: Any) -> str | None:
    return value if isinstance(value, str) and _TARGET.fullmatch(value) else None


# How each handler is made, and the default concurrency of its kinds.
_HANDLERS: dict[str, tuple[Callable[[_Table], Handler], int]] = {
    "echo": (_echo, 400),
    "http": (_http, 20),
    "command": (_command, 4),
    "python": (_python, 4),
}
