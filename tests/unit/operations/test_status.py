"""`status` tells a person how old each sign of life is."""

import json
import time
from pathlib import Path

from workflow_backend.operations.status import _last_beat


def test_a_heartbeat_has_its_time_for_people_and_its_age(tmp_path: Path) -> None:
    path = tmp_path / "api.heartbeat.json"
    path.write_text(json.dumps({"service": "api", "pid": 7, "at": time.time() - 3600}))
    told = _last_beat(path)
    assert 3600 <= told["age_seconds"] < 3700
    assert str(told["at"]).endswith("Z")
    path.write_text(json.dumps({"service": "api", "pid": 7, "at": time.time() + 3600}))
    assert _last_beat(path)["age_seconds"] == 0.0  # a clock that was set back
