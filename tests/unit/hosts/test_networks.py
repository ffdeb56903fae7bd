"""Addresses, inventories and images of hosts."""

import pytest
from tests.hosts import images, links
from tests.hosts.host import notable
from tests.hosts.instances import suites
from tests.hosts.plays import inventory, read_recap
from tests.hosts.store import LAST_NUMBER, HostRecord, Owner, Record

from steps import SetupError


@pytest.mark.parametrize(
    ("taken", "routes", "last", "number"),
    [
        (set(), [], 0, 1),
        (set(), [], 7, 8),
        ({8}, [], 7, 9),
        (set(), ["10.213.1.0/24", "10.213.2.128/25", "10.213.3.9"], 0, 4),
        (set(), ["192.0.2.0/24"], LAST_NUMBER, 1),
    ],
)
def test_the_next_number_that_nothing_uses(
    taken: set[int], routes: list[str], last: int, number: int
) -> None:
    assert links.free_number(taken, routes, last) == number


def test_where_every_address_is_in_use_that_is_reported() -> None:
    with pytest.raises(SetupError, match="every network"):
        links.free_number(set(), ["10.0.0.0/8"], 0)


def test_an_inventory_has_the_groups_with_their_hosts() -> None:
    hosts = (
        HostRecord("one", "bookworm", "/image", 5, 1, ("xian_node", "postgres")),
        HostRecord("two", "forky", "/image", 5, 2, ("xian_node",)),
    )
    owner = Owner(1, "")
    found = inventory(Record("trial", 5, owner, owner, hosts), {"workers": 2})["all"]
    assert found["hosts"]["two"] == {"ansible_host": "10.213.5.12"}
    assert found["children"] == {
        "postgres": {"hosts": {"one": {}}},
        "xian_node": {"hosts": {"one": {}, "two": {}}},
    }
    assert found["vars"]["workers"] == 2


def test_the_recap_of_a_playbook_is_read() -> None:
    output = """\
PLAY RECAP *********************************************************************
one                        : ok=3    changed=2    unreachable=0    failed=0    skipped=1
two.example.org            : ok=2    changed=0    unreachable=1    failed=0    skipped=0
"""
    found = read_recap(output)
    assert found["one"] == {"ok": 3, "changed": 2, "unreachable": 0, "failed": 0, "skipped": 1}
    assert found["two.example.org"]["unreachable"] == 1
    assert read_recap("PLAY [all] ***") == {}


def test_a_platform_runs_what_it_names_or_is_named_for() -> None:
    platforms = [{"name": "forky"}, {"name": "backend-1"}, {"name": "two", "suite": "forky"}]
    assert suites(platforms) == {"forky": "forky", "backend-1": "bookworm", "two": "forky"}


def test_an_image_depends_on_its_packages_and_its_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {images.key()}
    monkeypatch.setattr(images, "PACKAGES", (*images.PACKAGES, "nftables"))
    keys.add(images.key())
    monkeypatch.setattr(images, "SETUP", f"{images.SETUP}true\n")
    keys.add(images.key())
    assert len(keys) == 3


def test_another_suite_is_refused() -> None:
    with pytest.raises(SetupError, match="no image of sarge"):
        images.make("sarge")


def test_whoever_is_not_root_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(SetupError, match="only root") as raised:
        images.check_machine()
    assert raised.value.remedy == "sudo make test-hosts"


def test_what_is_missing_is_named_by_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: None if name == "systemd-nspawn" else name)
    with pytest.raises(SetupError, match="systemd-container: not installed") as raised:
        images.check_machine()
    assert raised.value.remedy == "apt-get install --no-install-recommends systemd-container"


def test_a_journal_is_shown_without_the_sessions_of_those_who_look() -> None:
    lines = [
        "Nov 24 06:31:08 one sshd[38]: Disconnected from user root 10.213.9.1 port 32964",
        "Nov 24 06:31:08 one systemd[1]: session-340.scope: Deactivated successfully.",
        "Nov 24 06:31:08 one systemd[41]: Reached target shutdown.target - Shutdown.",
        "Nov 24 06:31:08 one systemd[1]: user@0.service: Deactivated successfully.",
        "Nov 24 06:31:09 one systemd[1]: postgres.service: Failed with result 'exit-code'.",
        "Nov 24 06:31:09 one postgres[90]: no space left",
    ]
    assert notable("\n".join(lines)).splitlines() == lines[-2:]
