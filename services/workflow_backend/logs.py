"""Logs: lines for a person at a terminal, one JSON object a line for everything else.

Secrets that a message or a traceback quotes are taken out of both, and a terminal is shown no
escapes of others; JSON has none.
"""

import json
import logging
import sys
from datetime import UTC, datetime

from .printable import printable, printable_lines
from .redaction import redact


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            entry["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(entry)


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(redact(super().format(record)))


def set_up() -> None:
    """Send the log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    if sys.stderr.isatty():
        handler.setFormatter(_Lines("%(asctime)s %(levelname)s %(message)s"))
    else:
        handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def complain(reason: str, fault: Exception | None = None) -> None:
    """Say why a command ends: in the log of a service, in a line of its own for a person.

    The log has the trace of `fault` as well.
    """
    if logging.getLogger().hasHandlers():
        logging.getLogger("workflow_backend").error("%s", reason, exc_info=fault)
    elif sys.stderr is not None:
        print(f"workflow-backend: {printable(' '.join(redact(reason).split()))}", file=sys.stderr)
