"""Commands of operators."""

from pathlib import Path

import pytest

from workflow_backend import cli
from workflow_backend.errors import SettingError
from workflow_backend.operations import health
from workflow_backend.operations.health import Check


def test_health_names_a_json_file_that_can_not_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def no_checks(*_: object) -> list[Check]:
        return []

    monkeypatch.setattr(health, "wait_for_health", no_checks)
    monkeypatch.setenv("XIAN_CHAIN_ID", "net-1")
    file = tmp_path / "no" / "such"
    arguments = cli._parser("health").parse_args(["health", "--json", str(file)])
    with pytest.raises(SettingError, match="can't be written: No such file") as refused:
        arguments.run(arguments)
    assert str(file) in str(refused.value)
    assert "give a file in a folder that exists" in refused.value.hint
