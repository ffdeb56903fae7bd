"""Turns whatever a program writes into one JSON object on each line, in a process of its own.

    python log_lines.py PROGRAM < what it writes

A process, so that a native library's complaint, a panic and the last words before a kill come
through it too. Every object has `time`, `level`, `logger` and `message`, as the services' logs
have, and in `fields` what else the program said. It imports nothing but the standard library: it is
started for every program and has to be light.
"""

import json
import os
import re
import select
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

Entry = dict[str, Any]

BURST_SECONDS = 0.05  # lines that come closer together may be one traceback
LONGEST_BURST_SECONDS = 0.25
LONGEST_BURST = 64 * 1024
LONGEST_LINE = 1024 * 1024
LEVELS = {  # those of others by ours
    "trace": "debug",
    "success": "info",
    "log": "info",
    "notice": "info",
    "fatal": "error",  # for PostgreSQL a session that ends, as of a client that comes too early
    "panic": "critical",
}
CONSENSUS_FAILED = signal.SIGUSR1  # what the launcher of CometBFT hears of that line
_TROUBLE = re.compile(r"Traceback |panic:|fatal error:|thread '.*' panicked")
_LEVELLED = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL) +(\S.*)")
_POSTGRES = re.compile(
    r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d{3}) (?:UTC|GMT) \[(\d+)\] ([A-Z]+)\d?: +(.*)"
)
# PostgreSQL says these of the message before.
_POSTGRES_MORE = ("DETAIL", "HINT", "QUERY", "CONTEXT", "LOCATION", "BACKTRACE", "STATEMENT")


def entries(program: str, lines: Iterable[str]) -> list[Entry]:
    """Return the entries of one burst; a line that begins none continues the one before."""
    parsed: list[Entry] = []
    goes_on: tuple[Entry, str] | None = None  # where a line that begins nothing is appended
    for line in lines:
        if (entry := _of_json(program, line)) is not None:
            parsed.append(entry)
            goes_on = None
        elif match := _POSTGRES.match(line):
            day, clock, pid, severity, text = match.groups()
            fields = parsed[-1].get("fields", {}) if parsed else {}
            if severity in _POSTGRES_MORE and fields.get("pid") == int(pid):
                fields[severity.lower()] = text
                goes_on = (fields, severity.lower())
                continue
            level = "info" if severity in _POSTGRES_MORE else severity
            parsed.append(
                _entry(f"{day}T{clock}Z", level, program, text, {"pid": int(pid)}),
            )
            goes_on = (parsed[-1], "message")
        elif goes_on is not None:
            goes_on[0][goes_on[1]] += "\n" + line.removeprefix("\t")
        elif line.strip():
            parsed.append(_plain(program, line))
            goes_on = (parsed[-1], "message")
    return parsed


def _of_json(program: str, line: str) -> Entry | None:
    """The entry that a line of JSON is; None for any other line."""
    if not line.startswith("{"):
        return None
    try:
        record: Entry = json.loads(line, parse_constant=str)  # NaN would be no JSON any more
        if "record" in record:
            return _of_loguru(record["text"], record["record"])
        if "_msg" in record:
            return _of_cometbft(program, record)
    except ValueError, LookupError, TypeError, AttributeError, RecursionError:
        return None
    return record if {"time", "level", "logger", "message"} <= record.keys() else None


def _of_loguru(text: str, record: Entry) -> Entry:
    message: str = record["message"]
    fields = {name: value for name, value in record["extra"].items() if name != "context"}
    entry = _entry(
        _moment(record["time"]["timestamp"]),
        record["level"]["name"],
        record["name"],
        message,
        fields,
    )
    if record["exception"]:
        entry["exception"] = text[text.index(message) + len(message) :].strip()
    return entry


def _of_cometbft(program: str, record: Entry) -> Entry:
    message, level, when = record.pop("_msg"), record.pop("level"), record.pop("ts")
    logger = ".".join((program, *filter(None, [record.pop("module", "")])))
    return _entry(_iso(datetime.fromisoformat(when)), level, logger, message, record)


def _plain(program: str, line: str) -> Entry:
    level = "error" if _TROUBLE.match(line) else "warning"
    if match := _LEVELLED.fullmatch(line):
        level, line = match.groups()
    return _entry(_moment(time.time()), level, program, line, {})


def _entry(when: str, level: str, logger: str, message: str, fields: Entry) -> Entry:
    level = level.lower()
    entry = {"time": when, "level": LEVELS.get(level, level), "logger": logger, "message": message}
    return {**entry, "fields": fields} if fields else entry


def _moment(seconds: float) -> str:
    return _iso(datetime.fromtimestamp(seconds, UTC))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def entry(level: str, logger: str, message: str) -> str:
    """The line of one entry that happens now."""
    return json.dumps(_entry(_moment(time.time()), level, logger, message, {}))


def main() -> int:
    """Write entries to standard output until nobody writes to standard input any more."""
    # Who asks the program to end may ask its whole group: its last words are still to come.
    for how in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(how, signal.SIG_IGN)
    launcher = os.getppid()
    begun = b""
    while burst := _burst():
        *lines, begun = (begun + burst).split(b"\n")
        if len(begun) > LONGEST_LINE:
            lines, begun = [*lines, begun], b""
        written = _write(lines)
        if _consensus_failed(sys.argv[1], written) and launcher == os.getppid():
            os.kill(launcher, CONSENSUS_FAILED)
    _write([begun])
    return 0


def _consensus_failed(program: str, written: list[Entry]) -> bool:
    """Whether CometBFT says that its consensus is dead, for good; it goes on answering."""
    return program == "cometbft" and any(
        entry["logger"] == "cometbft.consensus" and entry["message"].startswith("CONSENSUS FAILURE")
        for entry in written
    )


def _burst() -> bytes:
    """What comes at once; empty when it was all. After a line of JSON nothing has to be awaited."""
    burst = chunk = os.read(0, LONGEST_BURST)
    deadline = time.monotonic() + LONGEST_BURST_SECONDS
    while chunk and not burst.endswith(b"}\n") and time.monotonic() < deadline:
        if len(burst) > LONGEST_BURST or not select.select([0], [], [], BURST_SECONDS)[0]:
            break
        chunk = os.read(0, LONGEST_BURST)
        burst += chunk
    return burst


def _write(lines: list[bytes]) -> list[Entry]:
    written = entries(sys.argv[1], [line.decode(errors="replace") for line in lines])
    text = "".join(json.dumps(entry) + "\n" for entry in written).encode()
    # Without a log the program goes on; it must not wait for a reader either.
    with suppress(OSError):
        while text:
            text = text[os.write(1, text) :]
    return written


if __name__ == "__main__":
    sys.exit(main())
