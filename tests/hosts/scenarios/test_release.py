"""What can go wrong while a release comes to a host: the next run finishes it, nothing is half."""

import functools
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.hosts import REPO
from tests.hosts.host import Host
from tests.hosts.network import Network
from tests.hosts.plays import Play

ROOT = "/opt/workflow-backend"
LATEST = REPO / "dist" / "latest.json"
PLAY = """\
- hosts: "{{ host }}"
  gather_facts: false
  roles: [release]
"""
# What is current before: a release whose content nobody asks for.
OLD = f"""
mkdir -p {ROOT}/releases/0.0-old
echo '{{"manifest_sha256": ""}}' > {ROOT}/releases/0.0-old/.installed.json
ln -s releases/0.0-old {ROOT}/current
"""

type Install = Callable[..., Play]


@pytest.fixture(scope="module")
def hosts(
    make_hosts: Callable[..., AbstractContextManager[Network]],
) -> Iterator[Network]:
    # The oldest Debian, and so the oldest Python that the role's programs meet.
    with make_hosts("release", {"one": "bookworm"}) as booted:
        yield booted


@pytest.fixture
def host(hosts: Network) -> Iterator[Host]:
    host = hosts["one"]
    host.run(OLD)
    yield host
    host.run(f"umount /opt 2>/dev/null; rm -rf {ROOT}", timeout=60)


@pytest.fixture
def install(hosts: Network, host: Host, tmp_path: Path) -> Install:
    """Begins the role on the host."""
    playbook = tmp_path / "play.yml"
    playbook.write_text(PLAY)

    def begin(*arguments: str, **variables: object) -> Play:
        given = {"release_file": str(built_file()), **variables}
        return hosts.begin(str(playbook), *arguments, host=host.name, **given)

    return begin


@functools.cache
def built_file() -> Path:
    """What the last build wrote of itself, though another one ends meanwhile."""
    return LATEST.resolve()


def built() -> dict[str, str]:
    description: dict[str, str] = json.loads(built_file().read_text())
    return description


def current(host: Host) -> str:
    return host.output(f"readlink {ROOT}/current")


def is_whole(host: Host) -> bool:
    """Whether the release that was built is current, and nothing else is there but the old one."""
    name = built()["id"]
    host.run(f"{ROOT}/current/services/bin/workflow-backend --version")
    there = host.output(f"ls -A {ROOT} {ROOT}/releases").split()
    return current(host) == f"releases/{name}" and set(there) == {
        *(
            f"{ROOT}:",
            f"{ROOT}/releases:",
            ".lock",
            "current",
            "previous",
            "releases",
            "0.0-old",
            name,
        )
    }


def until_unpacking(host: Host, play: Play) -> None:
    """Wait until some of the release is on the host and not all of it."""
    play.until("TASK [release : Install the uploaded archive")
    listing = f"ls -d {ROOT}/releases/.*.new/python {ROOT}/releases/{built()['id']}"
    deadline = time.monotonic() + 60
    while host.inside("sh", "-c", f"{listing} 2>/dev/null | grep .").returncode != 0:
        assert time.monotonic() < deadline, play.output


def test_a_host_that_loses_its_power(host: Host, install: Install) -> None:
    play = install()
    until_unpacking(host, play)
    host.kill()
    assert "unreachable=1" in play.failed().output
    host.start()
    assert current(host) == "releases/0.0-old"
    install().ok()
    assert is_whole(host)


def test_a_control_machine_that_dies(host: Host, install: Install) -> None:
    play = install()
    until_unpacking(host, play)
    play.stop()
    # What it began on the host may still be at work: the next run waits for that.
    install().ok()
    assert is_whole(host)
    install().unchanged()


def test_a_cable_that_is_pulled_for_a_while(host: Host, install: Install) -> None:
    play = install()
    until_unpacking(host, play)
    host.cut()
    time.sleep(3)
    host.mend()
    play.ok()
    assert is_whole(host)


def test_a_disk_without_room_gets_nothing(host: Host, install: Install) -> None:
    host.run(f"rm -rf {ROOT}")
    host.small_disk("/opt", 300)
    host.run(OLD)
    output = install().failed().output
    assert f"on {host.name}: checking the free space: " in output
    assert "do this: free the room or lower release_keep" in output
    assert "Upload the archive of the release" not in output
    assert current(host) == "releases/0.0-old"
    # A rehearsal says so too.
    assert "checking the free space" in install("--check").failed().output


def test_a_disk_that_gets_full_meanwhile(host: Host, install: Install) -> None:
    host.run(f"rm -rf {ROOT}")
    host.small_disk("/opt", 700)
    host.run(OLD)
    play = install()
    until_unpacking(host, play)
    host.run("cat /dev/zero > /opt/filler", check=False)
    output = play.failed().output
    assert f"release {built()['id']} on {host.name}: " in output
    assert "No space left on device" in output
    assert host.output(f"ls -A {ROOT}/releases") == "0.0-old"
    assert current(host) == "releases/0.0-old"


def test_a_damaged_archive_on_the_host_is_brought_again(host: Host, install: Install) -> None:
    host.run(f"head -c 1000000 /dev/urandom > {ROOT}/{built()['archive']}")
    install().ok()
    assert is_whole(host)


def test_an_archive_that_is_not_the_one_that_was_built(
    host: Host, install: Install, tmp_path: Path
) -> None:
    description = built()
    content = bytearray((built_file().with_name(description["archive"])).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / description["archive"]).write_bytes(content)
    shutil.copy(built_file(), tmp_path / "latest.json")
    output = install(release_file=str(tmp_path / "latest.json")).failed().output
    assert f"on {host.name}: verifying the archive: " in output
    assert description["sha256"] in output
    assert set(host.output(f"ls -A {ROOT}").split()) == {".lock", "current", "releases"}
    assert current(host) == "releases/0.0-old"


def test_two_operators_at_once(host: Host, install: Install) -> None:
    plays = [install(), install()]
    for play in plays:
        play.ok()
    assert is_whole(host)


def test_an_operator_who_waits_in_vain(host: Host, install: Install) -> None:
    host.run(f"systemd-run --unit=other flock {ROOT}/.lock sleep 600")
    try:
        output = install(release_wait=1).failed().output
        assert "another run has been working on the releases" in output
    finally:
        host.run("systemctl stop other")


def test_an_account_that_becomes_root(host: Host, install: Install) -> None:
    install(ansible_user="admin", ansible_become=True).ok()
    assert is_whole(host)
    assert "become root" in install(ansible_user="admin", release_root="/opt/x").failed().output
