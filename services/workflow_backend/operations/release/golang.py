"""Which modules a program written in Go is built from, read from the program itself."""

import re
from pathlib import Path

_MAGIC = b"\xff Go buildinf:"
_HEADER = 32
"""The magic bytes, the size of a pointer and the flags; after that come the texts."""
_INLINE = 2
_SENTINEL = 16
"""Bytes before and after the list of modules, which mark its place for other readers."""


class NotGo(ValueError):
    """The file is not a program that Go 1.18 or a later one built."""


def modules(program: Path) -> list[tuple[str, str, str]]:
    """Return path, version and hash of each module below the main one. Raises NotGo."""
    data = program.read_bytes()
    start = data.find(_MAGIC)
    if start < 0 or not data[start + 15] & _INLINE:
        raise NotGo(str(program))
    _, end = _text(data, start + _HEADER)
    listing, _ = _text(data, end)
    text = listing[_SENTINEL:-_SENTINEL].decode("utf-8", "replace")
    # A module that another one replaces is followed by that one, and that one is what is built.
    part = r"\t([^\t\n]+)\t([^\t\n]+)(?:\t([^\t\n]*))?"
    modules = re.findall(rf"^dep{part}(?:\n=>{part})?$", text, re.MULTILINE)
    return [one[3:] if one[3] else one[:3] for one in modules]


def _text(data: bytes, at: int) -> tuple[bytes, int]:
    """A text that begins with its length, seven bits a byte; returns where the next one begins."""
    length = shift = 0
    while True:
        byte = data[at]
        length |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not byte & 0x80:
            return data[at : at + length], at + length
