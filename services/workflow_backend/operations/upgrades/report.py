"""The report of a change, a JSON file on the control machine that grows with each step."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def add(path: Path | None, action: str, said: dict[str, Any]) -> None:
    """Add what a step said. What a run that was killed has done is in it too."""
    if path is None:
        return
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError, ValueError:
        report = {"steps": []}
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    report["steps"].append({"at": now, "step": action, **said})
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)
