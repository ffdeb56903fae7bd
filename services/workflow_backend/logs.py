"""Logging: lines of text at a terminal, otherwise one JSON object per line.

Both remove secrets from messages and tracebacks. The terminal gets no escape sequences of others;
JSON escapes them anyway.
"""

import json
import logging
import sys
from datetime import UTC, datetime

from .printable import printable, printable_lines
from .redaction import redact
from .times import rfc3339


class JsonFormatter(logging.Formatter):
    """Formats a record as a JSON object: time, level, logger, message, and exception if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without secrets."""
        entry = {
            "time": rfc3339(datetime.fromtimestamp(record.created, UTC), "milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            entry["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(entry)


class TerminalFormatter(logging.Formatter):
    """Formats a record as a line of text, followed by the lines of its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines without secrets and unprintable characters."""
        return printable_lines(redact(super().format(record)))


def set_up() -> None:
    """Send the log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    if sys.stderr.isatty():
        handler.setFormatter(TerminalFormatter("%(asctime)s %(levelname)s %(message)s"))
    else:
        handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def complain(reason: str, fault: Exception | None = None) -> None:
    """Report why a command ends: to the log of a service, or in one line for a person.

    The log gets the traceback of `fault` as well.
    """
    if logging.getLogger().hasHandlers():
        logging.getLogger("workflow_backend").error("%s", reason, exc_info=fault)
    elif sys.stderr is not None:
        print(f"workflow-backend: {printable(' '.join(redact(reason).split()))}", file=sys.stderr)
