"""The module that looks at a machine: what it reads out of the texts and tables of a system."""

import json
import os
import socket
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from tests.unit.modules.loading import module

from .inventories import NO_HOME, REPO, machine

facts = module("machine_facts")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"', ("debian", "12", "Debian 12")),
        ("PRETTY_NAME='Debian forky/sid'\nID=debian\n", ("debian", "", "Debian forky/sid")),
        ("", ("", "", "")),
    ],
)
def test_system_is_named(text: str, expected: tuple[str, str, str]) -> None:
    assert tuple(facts.system(text).values()) == expected


def test_figures_are_read_out_of_what_programs_say() -> None:
    assert facts.systemd("systemd 252 (252.39-1~deb12u1)\n+PAM") == 252
    assert facts.systemd("systemd 257.9-1") == 257
    assert facts.systemd("") == 0
    assert facts.synchronised("NTP=no\nNTPSynchronized=yes\nTimeUSec=x") is True
    assert facts.synchronised("NTPSynchronized=no") is False
    assert facts.synchronised("") is None
    assert facts.memory("MemFree: 1 kB\nMemTotal:       2048 kB\n") == 2 << 20
    assert facts.memory("") == 0


@pytest.mark.parametrize(
    ("table", "address"),
    [
        ("0100007F", "127.0.0.1"),
        ("00000000", "0.0.0.0"),  # noqa: S104
        ("00000000000000000000000001000000", "::1"),
        ("0000000000000000FFFF00000100007F", "127.0.0.1"),
    ],
)
def test_addresses_of_the_kernels_table(table: str, address: str) -> None:
    assert facts.decoded(table) == address


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_socket_of_this_process_is_found_with_its_program(family: int) -> None:
    address = "127.0.0.1" if family == socket.AF_INET else "::1"
    with socket.create_server((address, 0), family=family) as server:
        port = server.getsockname()[1]
        mine = [one for one in facts.listeners() if one["port"] == port]
    assert [(one["address"], one["user"]) for one in mine] == [
        (address, facts.account(os.getuid()))
    ]
    assert mine[0]["program"] == Path("/proc/self/comm").read_text().strip()
    assert (mine[0]["process"], mine[0]["folder"]) == (os.getpid(), str(Path.cwd()))
    assert [one for one in facts.listeners() if one["port"] == port] == []


def test_unit_of_a_process(tmp_path: Path) -> None:
    group = tmp_path / "cgroup"
    group.write_text("0::/system.slice/workflow-backend-abci.service\n")
    assert facts.unit(tmp_path) == "workflow-backend-abci.service"
    group.write_text("0::/user.slice/user@0.service/app.slice/a-b.service/payload\n")
    assert facts.unit(tmp_path) == "a-b.service"
    group.write_text("0::/init.scope\n")
    assert facts.unit(tmp_path) == ""


def test_places_that_are_there_and_that_will_be(tmp_path: Path) -> None:
    (tmp_path / "b").touch()
    (tmp_path / "a").mkdir()
    there, later = facts.place(tmp_path), facts.place(tmp_path / "a/b/c")
    assert there["entries"] == ["a", "b"]
    assert later["entries"] == []
    assert there["device"] == later["device"] == tmp_path.stat().st_dev
    assert there["free"] > 0
    (tmp_path / "link").symlink_to("nowhere")
    kinds = [facts.kind(tmp_path / name) for name in ("a", "b", "c", "link")]
    assert kinds == ["folder", "file", "missing", "link"]


def test_release_that_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to("releases/0.1.0-1")
    (tmp_path / "folder").mkdir()
    names = [facts.target(tmp_path / name) for name in ("current", "folder", "missing")]
    assert names == ["0.1.0-1", "", ""]


def made_home(path: Path) -> bytes:
    """A node's home; returns its genesis."""
    (path / "config").mkdir(parents=True)
    genesis = json.dumps({"chain_id": "net-1"}).encode()
    (path / "config/genesis.json").write_bytes(genesis)
    key = {"pub_key": {"value": b64encode(bytes(32)).decode()}, "priv_key": {"value": "hunter2"}}
    (path / "config/priv_validator_key.json").write_text(json.dumps(key))
    return genesis


def test_home_is_identified_by_its_public_parts(tmp_path: Path) -> None:
    genesis = made_home(tmp_path / "home")
    assert facts.home(tmp_path / "home") == {
        "chain_id": "net-1",
        "genesis_sha256": sha256(genesis).hexdigest(),
        "validator": "00" * 32,
        "fee_mode": "",
        "problem": "",
    }
    config = 'tx_fee_mode_of_old = "x"\ntx_fee_mode = "paid_metered"\n'
    (tmp_path / "home/config/xian.toml").write_text(config)
    assert facts.home(tmp_path / "home")["fee_mode"] == "paid_metered"


def test_machine_facts_without_a_home(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert facts.home(tmp_path / "none") == facts.home(tmp_path / "empty") == NO_HOME


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("genesis.json", None, "genesis.json: No such file"),
        ("genesis.json", "{", "broken"),
        ("genesis.json", "[]", "broken"),
        ("priv_validator_key.json", None, "priv_validator_key.json: No such file"),
        ("priv_validator_key.json", "{}", "broken"),
    ],
)
def test_home_with_a_lost_or_broken_part(
    tmp_path: Path, file: str, text: str | None, message: str
) -> None:
    made_home(tmp_path / "home")
    path = tmp_path / "home/config" / file
    path.unlink() if text is None else path.write_text(text)
    seen = facts.home(tmp_path / "home")
    assert message in seen["problem"]
    assert seen | {"problem": ""} == NO_HOME


@pytest.mark.parametrize("file", ["genesis.json", "priv_validator_key.json", "xian.toml"])
@pytest.mark.parametrize("what", ["pipe", "link", "large", "deep"])
def test_machine_facts_neither_follow_nor_wait_for_what_replaces_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, what: str
) -> None:
    made_home(tmp_path / "home")
    path = tmp_path / "home/config" / file
    monkeypatch.setattr(facts, "LARGEST", 1 << 20)
    path.unlink(missing_ok=True)
    if what == "pipe":
        os.mkfifo(path)
    elif what == "link":
        secret = tmp_path / "secret.json"
        secret.write_text('{"chain_id": "root-only", "pub_key": {"value": ""}}')
        path.symlink_to(secret)
    else:
        path.write_text(" " * (2 << 20) if what == "large" else "[" * 100_000)
    seen = facts.home(tmp_path / "home")
    assert "root-only" not in str(seen)
    assert bool(seen["problem"]) is (file != "xian.toml" or what != "deep")


@pytest.fixture
def of_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that an account owns, as root sees it."""
    folder = tmp_path / "account"
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
    else:  # then this account stands for the other one
        monkeypatch.setattr(os, "geteuid", lambda: 0)
    return folder


@pytest.mark.parametrize("link", [".cometbft", ".cometbft/config"])
def test_machine_facts_follow_no_folder_that_an_account_linked(
    tmp_path: Path, of_account: Path, link: str
) -> None:
    secret = tmp_path / "secret"
    made_home(secret)
    (of_account / link).parent.mkdir(exist_ok=True)
    if os.getuid() == 0:
        os.chown((of_account / link).parent, 65534, 65534)
    (of_account / link).symlink_to(secret / "config" if "/" in link else secret)
    seen = facts.home(of_account / ".cometbft")
    assert "is a link that another account may have made" in seen["problem"]
    assert seen | {"problem": ""} == NO_HOME


def test_place_behind_a_link_of_an_account_is_not_read(tmp_path: Path, of_account: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "name").touch()
    (of_account / "data").symlink_to(tmp_path / "secret")
    seen = facts.place(of_account / "data")
    assert (seen["entries"], seen["device"]) == ([], of_account.stat().st_dev)


def test_machine_facts_are_what_preflight_reads() -> None:
    source = (REPO / "plugins/modules/machine_facts.py").read_text()
    assert [name for name in machine() if f'"{name}":' not in source] == []
