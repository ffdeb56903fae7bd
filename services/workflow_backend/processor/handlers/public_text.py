"""Texts of handlers and their programs, made fit for the chain, the log and people."""

from ...redaction import redact

MAX_REASON = 512
"""The longest reason that the contract takes, in characters."""

MAX_PROGRESS = 200

_MAX_READ = 65536
"""Characters of a text that are read; a handler's text may be of any length."""


def is_printable(text: str) -> bool:
    """Tell whether the contract accepts the text as it is; spaces are allowed anywhere."""
    return text.isascii() and text.isprintable()


def printable(text: str, longest: int) -> str:
    """Return the text as the contract accepts it: one line of printable ASCII, cut to a length."""
    clean = " ".join(text[:_MAX_READ].split())
    clean = "".join(c if is_printable(c) else "?" for c in clean)
    return clean if len(clean) <= longest else clean[: longest - 3] + "..."


def public(text: str, longest: int) -> str:
    """Return the text as it may be published: without secrets, on one line, cut to a length."""
    # It is redacted before it is cut, because half an address is not recognised as one.
    return printable(redact(text[:_MAX_READ]), longest)


def text_of(error: BaseException) -> str:
    """Return an exception's text, "" if it has none or its `__str__` raises."""
    try:
        return str(error)
    except BaseException:
        return ""


def describe(error: BaseException) -> str:
    """Return an exception's type and text."""
    text = text_of(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
