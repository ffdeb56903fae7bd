"""Times as the project writes them."""

import json
import logging
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from workflow_backend import logs, times
from workflow_backend.operations.network import report

SERVICES = Path(times.__file__).parent


def test_rfc3339_converts_to_utc() -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2)))
    assert times.rfc3339(noon) == "2026-01-31T10:00:00.000000Z"
    assert times.rfc3339(noon, "seconds") == "2026-01-31T10:00:00Z"


@pytest.mark.parametrize(
    "text",
    ["2026-01-31 10:00:00", "2026-01-31T10:00:00.000000001Z", "2026-01-31T12:00:00+02:00"],
)
def test_parse_reads_the_forms_of_other_programs(text: str) -> None:
    assert times.parse(text) == "2026-01-31T10:00:00.000000Z"


def test_now_is_the_current_time() -> None:
    assert abs(datetime.fromisoformat(times.now()) - datetime.now(UTC)) < timedelta(seconds=5)


def test_log_and_report_write_times_with_z(tmp_path: Path) -> None:
    record = logging.LogRecord("test", logging.INFO, "", 0, "said", (), None)
    line = json.loads(logs.JsonFormatter().format(record))
    report.add(tmp_path / "report.json", "stop", {})
    (step,) = json.loads((tmp_path / "report.json").read_text())["steps"]
    for time in line["time"], step["at"]:
        assert time.endswith("Z")
        assert datetime.fromisoformat(time).tzinfo == UTC


def test_no_other_module_formats_times() -> None:
    """`isoformat` writes the zone as +00:00, and no width of its own."""
    found = [
        file.relative_to(SERVICES).as_posix()
        for file in SERVICES.rglob("*.py")
        if "isoformat(" in file.read_text().replace("fromisoformat(", "")
    ]
    assert found == ["times.py"]
