"""Reads files that others may have put there: plain ones alone, and never without end."""

import errno
import json
import os
import stat
from pathlib import Path

from workflow_backend_node.requests import Object, Refused


def read_regular_file(path: Path, most_bytes: int) -> bytes:
    """Return the bytes of a plain file.

    Raises `Refused` for a link, a pipe or a device, which may hang or lead elsewhere, and for a
    file that is larger than that; OSError as reading does.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Refused(f"{path} is a link: a plain file has to be there") from None
        raise
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Refused(f"{path} is not a regular file")
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise Refused(f"{path} is larger than {most_bytes} bytes")
    return content


def json_object(text: bytes, where: str) -> Object:
    """Return the JSON object in a text; raises `Refused` naming what it is instead."""
    if not text.strip():
        raise Refused(f"{where} is empty")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{where} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise Refused(f"{where} is not a JSON object")
    return content
