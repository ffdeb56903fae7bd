"""What handlers and their programs say, made fit for the chain, the log and a person."""

from ...redaction import redact

MAX_REASON = 512
"""The longest reason that the contract takes, in characters."""

MAX_PROGRESS = 200

_MOST = 65536
"""Characters of a text that are looked at: it may be of any length."""


def is_printable(text: str) -> bool:
    """Tell whether the contract takes the text as it is: spaces anywhere are part of it."""
    return text.isascii() and text.isprintable()


def printable(text: str, longest: int) -> str:
    """Return the text on one line as the contract takes it: printable ASCII, cut to a length."""
    clean = " ".join(text[:_MOST].split())
    clean = "".join(c if is_printable(c) else "?" for c in clean)
    return clean if len(clean) <= longest else clean[: longest - 3] + "..."


def public(text: str, longest: int) -> str:
    """Return the text as it may leave: without secrets, in one line, cut to a length."""
    # Redacted before it is cut: half an address does not look like one.
    return printable(redact(text[:_MOST]), longest)


def text_of(error: BaseException) -> str:
    """Return an error's text, "" where it has none that can be had: handlers raise anything."""
    try:
        return str(error)
    except BaseException:
        return ""


def describe(error: BaseException) -> str:
    """Return an error's type and text."""
    text = text_of(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
