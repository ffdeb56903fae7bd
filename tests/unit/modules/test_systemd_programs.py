"""What runs under systemd runs with its own settings alone."""

import os
from pathlib import Path
from typing import Any

import pytest

from .loading import module

programs = module("systemd_programs")
DEFINED = "WORKFLOW_REVISION=r XIAN_CHAIN_ID=chain-1"


class Systemd:
    """Answers what it is asked; the unit's process is this one."""

    def __init__(self, environment: str = "") -> None:
        self.environment = environment

    def run_command(self, command: list[str], **_: object) -> tuple[int, str, str]:
        answers = {
            "show": f"ActiveState=active\nMainPID={os.getpid()}\nEnvironment={DEFINED}\n",
            "show-environment": self.environment,
        }
        return 0, answers[command[1]], ""


@pytest.mark.parametrize(
    ("environment", "revision"),
    [
        ("WORKFLOW_REVISION=r\0XIAN_CHAIN_ID=chain-1\0PATH=/bin\0", "r"),
        ("WORKFLOW_REVISION=r\0XIAN_CHAIN_ID=chain-1\0XIAN_WALLET_PRIVATE_KEY=5\0", ""),
        ("PATH=/bin\0", ""),
    ],
)
def test_what_runs_with_a_setting_that_its_unit_does_not_give_it_is_stale(
    environment: str, revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_bytes", lambda _: environment.encode())
    assert programs.running_revision(Systemd(), "unit") == revision


def test_settings_that_systemd_got_from_a_shell_are_known() -> None:
    systemd: Any = Systemd("PATH=/bin\nXIAN_WALLET_PRIVATE_KEY=5\nXIAN_NODE_URL=http://x=y\n")
    assert programs.settings_of_the_manager(systemd) == ["XIAN_NODE_URL", "XIAN_WALLET_PRIVATE_KEY"]
    assert programs.settings_of_the_manager(Systemd("PATH=/bin\nOTHER_XIAN_A=1\n")) == []
