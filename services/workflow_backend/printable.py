"""Escaping of texts from elsewhere for a terminal or a text log."""


def printable(text: object) -> str:
    """Return the text in one line, with unprintable characters as Python escapes.

    >>> printable("ready\\x1b[2J")
    'ready\\\\x1b[2J'
    """
    line = str(text)
    if line.isprintable():
        return line
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in line)


def printable_lines(text: str) -> str:
    """Escape each line and indent all but the first, so that none looks like a line of its own."""
    return "\n    ".join(printable(line) for line in text.split("\n"))
