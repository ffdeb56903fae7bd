"""The module that removes programs which are no longer defined, beside a systemd that is played."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from .modules.loading import module
from .test_systemd_programs import Done

WRITTEN = "# Written by the deployment.\n[Unit]\n"


class Host:
    """A host with the units and secrets of all programs."""

    def __init__(self, folder: Path) -> None:
        self.units, self.credentials = folder / "units", folder / "credentials"
        self.units.mkdir()
        self.key = folder / "api-key.pem"
        self.key.write_text("secret")
        for name in ("postgres", "abci", "cometbft", "processor", "api"):
            (self.units / f"workflow-backend-{name}.service").write_text(WRITTEN)
            (self.credentials / name).mkdir(parents=True)
            (self.credentials / name / "wallet_key").write_text("secret")
        self.commands: list[str] = []
        self.cut_at = ""

    def run_command(self, argv: list[str], check_rc: bool = False) -> tuple[int, str, str]:
        del check_rc
        self.commands.append(" ".join(argv[1:]).replace("workflow-backend-", ""))
        if argv[1] == self.cut_at:
            raise KeyboardInterrupt
        return 0, "", ""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def remove(
    host: Host, monkeypatch: pytest.MonkeyPatch, *names: str, check: bool = False
) -> list[str]:
    """Run the module; return what leaves."""
    absent = module("systemd_absent")
    monkeypatch.setattr(absent, "UNITS", host.units)
    answer: dict[str, Any] = {}

    def exit_json(**result: Any) -> None:
        answer.update(result)
        raise Done

    given = {
        "defined": list(names),
        "folder": str(host.credentials),
        "files": {"api": [str(host.key)]},
    }
    played = SimpleNamespace(
        params=given, check_mode=check, run_command=host.run_command, exit_json=exit_json
    )
    with pytest.raises(Done):
        absent.run(played)
    assert answer["changed"] is bool(answer["leaving"])
    leaving: list[str] = answer["leaving"]
    return leaving


NODE = ("postgres", "abci", "cometbft")


def test_services_that_are_defined_no_more_stop_in_order_and_leave_no_secret(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert remove(host, monkeypatch, *NODE, check=True) == ["api", "processor"]
    assert (host.commands, host.key.exists()) == ([], True)
    assert remove(host, monkeypatch, *NODE) == ["api", "processor"]
    assert host.commands[:3] == [
        "disable --now --quiet api.service",
        "disable --now --quiet processor.service",
        "daemon-reload",
    ]
    assert sorted(path.name for path in host.credentials.iterdir()) == sorted(NODE)
    assert not host.key.exists()
    assert len(list(host.units.iterdir())) == 3
    assert remove(host, monkeypatch, *NODE) == []


def test_removal_that_was_cut_short_goes_on(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.cut_at = "daemon-reload"
    with pytest.raises(KeyboardInterrupt):
        remove(host, monkeypatch, *NODE)
    host.cut_at = ""
    (host.credentials / "api").mkdir()  # as if that had been left
    assert remove(host, monkeypatch, *NODE) == ["api"]


def test_a_unit_of_somebody_else_is_left_alone(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    other = host.units / "workflow-backend-mine.service"
    other.write_text(WRITTEN)
    named = host.units / "workflow-backend-handlers.service"
    named.write_text("[Unit]\n")
    (host.credentials / "handlers").mkdir()
    assert "handlers" not in remove(host, monkeypatch)
    assert sorted(host.units.iterdir()) == [named, other]
    assert [path.name for path in host.credentials.iterdir()] == ["handlers"]
