"""The last words of a program, for a person who has to know why it does not run."""

import json
import os

from . import safe_files

LINES = 3
_LARGEST_TAIL = 64 * 1024
_LONGEST = 2000
_REASONS = ("err", "error", "detail", "hint")


def of_unit(run_command, unit):
    """What the program of a unit of systemd said last, since it was started last.

    What systemd says of it, its exit status and restarts, is told only where the program itself
    said nothing: it could not even be run.
    """
    _, shown, _ = run_command(["systemctl", "show", "--property=InvocationID", "--value", unit])
    of_last_start = shown.strip()
    for match in (
        [f"_SYSTEMD_UNIT={unit}", f"_SYSTEMD_INVOCATION_ID={of_last_start}"],
        [f"UNIT={unit}", f"INVOCATION_ID={of_last_start}"],
        [f"_SYSTEMD_UNIT={unit}"],
    ):
        if match[-1].endswith("="):
            continue
        journal = [
            "journalctl",
            *match,
            f"--lines={LINES}",
            "--output=cat",
            "--no-pager",
            "--quiet",
        ]
        _, said, _ = run_command(journal)
        if found := plain(said):
            return found
    return ""


def of_file(path):
    """What a program said last in its own log file.

    The folder is an account's: root follows no link of it, and waits for no pipe.
    """
    try:
        with safe_files.reading(path) as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - _LARGEST_TAIL, 0))
            return plain(file.read(_LARGEST_TAIL).decode(errors="replace"))
    except FileNotFoundError:
        return ""
    except safe_files.Unsafe as error:
        return f"its log is not read: {error.filename}: {error.strerror}"


def plain(said):
    """The last lines of a log as one text: of an entry in JSON what a person reads of it."""
    words = [_words(line) for line in said.splitlines()[-LINES:]]
    return "; ".join(word for word in words if word)


def _words(line):
    try:
        entry = json.loads(line)
        fields = entry.get("fields", {})
        parts = [entry["message"], *(fields[name] for name in _REASONS if name in fields)]
        parts += [_reason(entry["exception"])] if "exception" in entry else []
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        parts = [line]
    said = ": ".join(_reason(str(part)) for part in parts)
    return "".join(c if c.isprintable() else " " for c in said).strip()[:_LONGEST]


def _reason(text):
    """Of a trace the line that says what was wrong; any other text as it is."""
    trace = text.lstrip().startswith("Traceback ")
    return text.strip().splitlines()[-1] if trace else text
