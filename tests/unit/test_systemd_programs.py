"""The module that runs programs as systemd units, beside a systemd that is played."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from .modules.loading import module


class Done(Exception):
    """The module has ended."""


class Systemd:
    """What systemctl answers: it knows a definition as it was at the last reload."""

    def __init__(self, folder: Path) -> None:
        self.units = folder / "units"
        (self.units / "multi-user.target.wants").mkdir(parents=True)
        self.folder = folder / "credentials"
        self.folder.mkdir()
        self.known: dict[str, str] = {}
        self.environments: dict[str, str] = {}
        self.processes: dict[str, str] = {}
        self.commands: list[str] = []
        self.cut_at = ""

    def run_command(self, argv: list[str], check_rc: bool = False) -> tuple[int, str, str]:
        del check_rc
        verb, names = argv[1], [word for word in argv[2:] if word.startswith("workflow")]
        self.commands.append(" ".join([verb, *names]))
        if verb == self.cut_at:
            raise KeyboardInterrupt
        if verb == "--version":
            return 0, "systemd 257 (257)", ""
        if verb == "daemon-reload":
            self.known = {path.name: path.read_text() for path in self.units.glob("*.service")}
        for name in names:
            self._do(verb, name)
        if verb == "show":
            return 0, "\n\n".join("yes" if self._stale(name) else "no" for name in names), ""
        return 0, "", ""

    def _do(self, verb: str, name: str) -> None:
        if verb == "enable":
            (self.units / "multi-user.target.wants" / name).symlink_to(self.units / name)
        elif verb == "start":
            self.processes[name] = self._process(name)
        elif verb == "stop":
            self.processes.pop(name, None)

    def _stale(self, name: str) -> bool:
        return name in self.known and self.known[name] != (self.units / name).read_text()

    def _process(self, name: str) -> str:
        """A process that was started as systemd knows the unit."""
        text = self.known.setdefault(name, (self.units / name).read_text())
        revision = text.partition("WORKFLOW_REVISION=")[2].split()[0]
        self.environments[name] = revision
        return name


@pytest.fixture
def systemd(tmp_path: Path) -> Systemd:
    return Systemd(tmp_path)


def deploy(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch, text: str, *, check: bool = False
) -> dict[str, Any]:
    """Run the module with one unit; return its answer."""
    programs = module("systemd_programs")
    monkeypatch.setattr(programs, "UNITS", systemd.units)

    def running(_: Any, unit: str) -> str | None:
        return systemd.environments[unit] if unit in systemd.processes else None

    monkeypatch.setattr(programs, "running_revision", running)
    answer: dict[str, Any] = {}

    def exit_json(**result: Any) -> None:
        answer.update(result)
        raise Done

    given = {
        "units": {UNIT: f"{text}\nEnvironment=WORKFLOW_REVISION=@REVISION@\n"},
        "credentials": {},
        "revisions": {},
        "folder": str(systemd.folder),
    }
    played = SimpleNamespace(
        params=given, check_mode=check, run_command=systemd.run_command, exit_json=exit_json
    )
    with pytest.raises(Done):
        programs.run(played)
    return answer


UNIT = "workflow-backend-api.service"


def test_deployment_cut_before_the_reload_is_healed_by_the_next(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert deploy(systemd, monkeypatch, "one")["started"] == [UNIT]
    assert deploy(systemd, monkeypatch, "one")["changed"] is False
    systemd.cut_at = "daemon-reload"
    with pytest.raises(KeyboardInterrupt):
        deploy(systemd, monkeypatch, "two")
    systemd.cut_at = ""
    rehearsed = deploy(systemd, monkeypatch, "two", check=True)
    assert (rehearsed["changed"], rehearsed["restarted"]) == (True, [UNIT])
    healed = deploy(systemd, monkeypatch, "two")
    assert healed["restarted"] == [UNIT]
    assert deploy(systemd, monkeypatch, "two")["changed"] is False
    assert "two" in systemd.known[UNIT]


def test_plan_tells_what_starts_from_what_restarts_and_does_neither(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = deploy(systemd, monkeypatch, "one", check=True)
    assert (planned["started"], planned["restarted"]) == ([UNIT], [])
    assert list(systemd.units.glob("*.service")) == []
    deploy(systemd, monkeypatch, "one")
    planned = deploy(systemd, monkeypatch, "two", check=True)
    assert (planned["started"], planned["restarted"]) == ([], [UNIT])
    assert "one" in (systemd.units / UNIT).read_text()
