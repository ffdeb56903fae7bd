"""A program under systemd: as it was defined, back when it dies, restarted when it changes."""

import time
from collections.abc import Callable
from typing import Any

from testinfra.host import Host
from tests.hosts.verified import play

UNIT = "workflow-backend-example.service"
ANOTHER = {"secret_of_the_example": "hush-22"}


def unit_property(host: Host, name: str) -> str:
    """What systemd says of the unit."""
    return str(host.check_output(f"systemctl show --property={name} --value {UNIT}"))


def pid(host: Host) -> str:
    return unit_property(host, "MainPID")


def another(host: Host, before: str) -> str:
    """The process that has taken the place of that one; empty while there is none."""
    now = pid(host)
    return "" if now in ("0", before) else now


def converge(host: Host, **variables: str) -> str:
    """Run the converge playbook again, on this host alone; returns what it printed."""
    return play("converge", "--limit", host.check_output("hostname"), **variables).ok().output


def eventually(look: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def test_arguments_environment_and_credentials_arrive_as_they_were_given(host: Host) -> None:
    output = host.check_output(f"journalctl _SYSTEMD_UNIT={UNIT} --output=cat --no-pager")
    assert "100 % of $HOME two words, and 50 % 6" in output.splitlines()


def test_accounts_folders_and_secrets_are_private(host: Host) -> None:
    folder = host.file("/var/lib/workflow-backend/example")
    assert (folder.user, folder.group, folder.mode) == ("example", "example-clients", 0o2750)
    assert "example-clients" in host.user("example").groups
    secret = host.file("/etc/workflow-backend/credentials/example/secret")
    assert (secret.user, secret.mode) == ("root", 0o600)
    unit = host.file(f"/etc/systemd/system/{UNIT}")
    assert not unit.contains("hush-1")


def test_systemd_finds_nothing_wrong_with_the_unit(host: Host) -> None:
    found = host.run(f"systemd-analyze verify {UNIT}")
    assert (found.rc, found.stderr) == (0, "")


def test_it_comes_back_when_it_is_killed_and_when_it_hangs(host: Host) -> None:
    before = pid(host)
    host.check_output(f"kill -KILL {before}")
    after = eventually(lambda: another(host, before))
    # Stopped while it still starts, it would be no hanging program but one that never came up.
    eventually(lambda: unit_property(host, "ActiveState") == "active")
    assert unit_property(host, "WatchdogUSec") == "30s"
    host.check_output(f"kill -STOP {after}")
    eventually(lambda: another(host, after), 90)


def test_restarts_back_off_where_systemd_can(host: Host) -> None:
    version = int(host.check_output("systemctl --version").split()[1])
    assert unit_property(host, "RestartUSec") == "1s"
    steps = (unit_property(host, "RestartSteps"), unit_property(host, "RestartMaxDelayUSec"))
    assert steps == (("6", "30s") if version >= 254 else ("", ""))


def test_another_secret_or_revision_restarts_it_and_nothing_else_does(host: Host) -> None:
    before = pid(host)
    converge(host)
    assert pid(host) == before
    output = converge(host, **ANOTHER)
    assert "hush" not in output
    second = pid(host)
    assert second != before
    converge(host, revision_of_the_example="2")
    assert pid(host) not in (before, second)
    converge(host)


def test_it_has_no_setting_that_a_shell_gave_to_systemd(host: Host) -> None:
    host.check_output("systemctl set-environment XIAN_WALLET_PRIVATE_KEY=5 OTHER=1")
    host.check_output(f"systemctl restart {UNIT}")
    assert "XIAN_" in host.check_output(f"tr '\\0' '\\n' < /proc/{pid(host)}/environ")
    converge(host)
    assert "XIAN_" not in host.check_output(f"tr '\\0' '\\n' < /proc/{pid(host)}/environ")
    assert "XIAN_" not in host.check_output("systemctl show-environment")
    before = pid(host)
    converge(host)  # what is not ours stays, and restarts nothing
    assert pid(host) == before
    host.check_output("systemctl unset-environment OTHER")


def test_what_an_interrupted_run_left_is_finished_by_the_next(host: Host) -> None:
    unit = f"/etc/systemd/system/{UNIT}"
    host.check_output(f"sed -i s/hush-1/hush-1/ {unit} && systemctl stop {UNIT}")
    host.check_output("mkdir -p /tmp/aside && cp %s /tmp/aside && rm %s", unit, unit)
    converge(host)
    assert host.service(UNIT).is_running
    host.check_output(f"systemctl disable --quiet {UNIT}")
    converge(host)
    assert host.service(UNIT).is_enabled


def test_a_program_that_does_not_start_is_told_in_its_own_words(host: Host) -> None:
    dies = {"program_of_the_example": "import sys; sys.exit('my disk is read-only')"}
    run = play("converge", "--limit", host.check_output("hostname"), **dies)
    assert run.code != 0
    assert "Its last words: my disk is read-only" in run.prose
    converge(host)
