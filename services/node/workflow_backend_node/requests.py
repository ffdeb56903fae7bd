"""Requests to a program and its answers: JSON on standard input and on standard output."""

import json
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import MISSING, fields
from difflib import unified_diff
from pathlib import Path
from typing import Any

Object = dict[str, Any]


class Refused(Exception):
    """Says in one line what is wrong, where, and what to do; nothing was changed."""


def run(work: Callable[[Object, bool], Object]) -> int:
    """Answer one request with `work(request, check)`; with `--check` nothing may be written.

    The exit status is 0 and the answer is on standard output, or 1 and the reason is on standard
    error.
    """
    try:
        request = json.load(sys.stdin)
    except RecursionError:
        return refuse("the request on standard input is nested too deeply")
    except ValueError as error:
        return refuse(f"the request on standard input is not JSON in UTF-8: {error}")
    if not isinstance(request, dict):
        return refuse("the request on standard input is not a JSON object")
    try:
        answer = work(request, "--check" in sys.argv[1:])
    except (Refused, OSError) as error:
        return refuse(str(error))
    except Exception as error:  # nobody foresaw it, and a playbook shows a line
        *_, last = traceback.extract_tb(error.__traceback__)
        where = f"{Path(last.filename).name}, line {last.lineno}"
        fault = f"{type(error).__name__}: {error} ({where})"
        return refuse(f"this is a fault of this program, please report it: {fault}")
    print(json.dumps(answer, sort_keys=True))
    return 0


def refuse(reason: str) -> int:
    """Print the reason and return the exit status that goes with it."""
    print(reason, file=sys.stderr)
    return 1


def parse[T](kind: type[T], request: Object, where: str) -> T:
    """Make the dataclass `kind` of a JSON object that must hold exactly its fields.

    A field with a default may be left out. Raises `Refused` naming every field that is missing or
    unknown: a misspelt setting must not be lost.
    """
    known = fields(kind)  # type: ignore[arg-type]
    needed = {f.name for f in known if f.default is MISSING and f.default_factory is MISSING}
    problems = [f"{name} is missing" for name in sorted(needed - set(request))]
    problems += [f"{name} is unknown" for name in sorted(set(request) - {f.name for f in known})]
    if problems:
        raise Refused(f"{where}: {', '.join(problems)}")
    return kind(**request)


def write_private(path: Path, text: str) -> None:
    """Replace a file by one that only its owner reads; nobody ever sees half of it."""
    beside = path.with_name(f".{path.name}.new")
    with suppress(FileNotFoundError):
        beside.unlink()
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)


def difference(path: Path, before: str, after: str) -> str:
    """What a person is shown of a change: a unified diff, empty when nothing changes."""
    old, new = (text.splitlines(keepends=True) for text in (before, after))
    return "".join(unified_diff(old, new, str(path), str(path)))


def as_json(value: Object) -> str:
    """The text of a JSON file that people may read too."""
    return json.dumps(value, indent=2, sort_keys=True) + "\n"
