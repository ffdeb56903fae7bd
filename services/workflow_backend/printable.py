"""Texts of others as a terminal and a text log may show them."""


def printable(text: object) -> str:
    """Return a text in one line, each character that is not printable as an escape of Python.

    >>> printable("ready\\x1b[2J")
    'ready\\\\x1b[2J'
    """
    line = str(text)
    if line.isprintable():
        return line
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in line)


def printable_lines(text: str) -> str:
    """Do so with each line, and indent those behind the first: none looks like one of its own."""
    return "\n    ".join(printable(line) for line in text.split("\n"))
