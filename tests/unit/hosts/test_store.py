"""What is written down of hosts, and whether anybody still uses them."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.hosts import store
from tests.hosts.store import HostRecord, Owner, Record

ME = Owner.of(os.getpid())


@pytest.fixture(autouse=True)
def _networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "NETWORKS", tmp_path)


@pytest.fixture
def ended() -> Owner:
    with subprocess.Popen(["sleep", "60"]) as process:
        owner = Owner.of(process.pid)
        assert owner.lives
        process.kill()
    return owner


@pytest.fixture
def record() -> Record:
    hosts = tuple(
        HostRecord(name, "bookworm", "/images/bookworm", 254, number, ("web",))
        for number, name in enumerate(("one", "two"), 1)
    )
    return Record("trial", 254, ME, ME, hosts, ready=True)


def test_what_is_written_down_is_found_again(record: Record) -> None:
    record.write()
    assert store.read(record.folder) == record
    assert store.records() == [record]


def test_a_folder_that_says_nothing_is_found_too(record: Record) -> None:
    record.write()
    (record.folder / "state.json").write_text('{"name": "trial"')
    assert store.records() == []
    assert store.unreadable() == [record.folder]


def test_names_of_links_fit_into_15_bytes_and_addresses_differ(record: Record) -> None:
    last = replace(record.hosts[0], number=store.LAST_HOST)
    assert len(last.link) <= 15
    assert last.address == "10.213.254.210"
    assert len({record.gateway, *(host.address for host in record.hosts)}) == 3


def test_hosts_are_left_once_their_owner_has_ended(record: Record, ended: Owner) -> None:
    assert not record.is_left
    assert replace(record, owner=ended).is_left
    assert not replace(record, owner=None, maker=ended).is_left  # they stay until `down`


def test_hosts_that_were_never_ready_are_left_once_their_maker_has_ended(
    record: Record, ended: Owner
) -> None:
    assert not replace(record, owner=None, ready=False).is_left
    assert replace(record, owner=None, ready=False, maker=ended).is_left


def test_hosts_of_another_boot_of_the_machine_are_left(record: Record) -> None:
    before = Owner(ME.pid, f"another-boot {ME.started.split()[-1]}")
    assert replace(record, owner=None, maker=before).is_left


def test_a_number_that_another_process_has_now_is_not_the_owner() -> None:
    assert ME.lives
    assert not Owner(ME.pid, f"{store.boot_id()} 1").lives
    assert not Owner.of(2**22 + 1).lives


def test_a_network_is_named_or_is_that_of_a_scenario(tmp_path: Path) -> None:
    assert store.name_of("trial") == "trial"
    folder = tmp_path / "roles/release/molecule/default"
    name = store.name_of(str(folder))
    assert name.startswith("release-default-")
    assert name == store.name_of(f"{folder}/../default/")
    assert name != store.name_of(str(tmp_path / "other/roles/release/molecule/default"))
