"""A validator's home that was lost, and comes back from a copy: what is refused on the way."""

import json
import os
import tarfile
from pathlib import Path

from testinfra.host import Host
from tests.hosts.verified import play, wait_for_block

MADE = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
ARCHIVE = MADE / "home.tar.gz"
HOME = "/var/lib/workflow-backend/node/.cometbft"
SIGNED = f"{HOME}/data/priv_validator_state.json"


def signed() -> int:
    """The height that the copy's validator signed last."""
    with tarfile.open(ARCHIVE) as tar:
        file = tar.extractfile("./data/priv_validator_state.json")
        assert file is not None
        return int(json.load(file)["height"])


def test_only_the_operators_word_helps_where_no_peer_can_tell(host: Host) -> None:
    printed = play("push-home").refused().prose
    assert "nobody can tell whether the validator of bookworm signs elsewhere" in printed
    assert "-e xian_recovery_sure=true" in printed
    assert host.file(HOME).exists


def test_homes_that_are_not_this_hosts_are_refused(host: Host, tmp_path: Path) -> None:
    before = host.check_output(f"ls -A {HOME} {HOME}/..")
    short = tmp_path / "short.tar.gz"
    short.write_bytes(ARCHIVE.read_bytes()[:-1000])
    folder = tmp_path / "folder"
    with tarfile.open(ARCHIVE) as tar:
        tar.extractall(folder, filter="data")
    genesis = folder / "config" / "genesis.json"
    genesis.write_text(genesis.read_text().replace("scenario-1", "elsewhere-1"))
    for given, sentence in (
        ({"xian_recovery_archive": str(short)}, "is truncated or damaged"),
        ({"xian_recovery_archive": str(folder)}, "a home of chain 'elsewhere-1'"),
        ({"xian_recovery_sha256": "0" * 64}, "has the SHA-256 sum"),
        ({"xian_recovery_archive": ""}, "Which home?"),
    ):
        assert sentence in play("push-home", xian_recovery_sure=True, **given).refused().prose
    assert host.check_output(f"ls -A {HOME} {HOME}/..") == before
    assert not (MADE / "network" / ".push").exists()


def test_a_state_of_peers_needs_peers(host: Host) -> None:
    printed = play("bootstrap-state-sync", xian_recovery_host="bookworm").refused().prose
    assert "has a home with blocks" in printed
    given = {"xian_recovery_host": "bookworm", "xian_recovery_give_up_data": True}
    play("bootstrap-state-sync", **given).refused()
    assert host.file(HOME).exists


def test_a_home_that_was_lost_is_not_made_anew(host: Host) -> None:
    host.check_output(f"rm -r {HOME}")
    run = play("deploy")
    assert run.code != 0
    assert "its validator may sign twice" in run.prose
    assert "push-home.yml --limit bookworm" in run.prose
    assert not host.file(HOME).exists


def test_the_copy_takes_its_place_and_nothing_is_started(host: Host) -> None:
    printed = play("push-home", xian_recovery_sure=True).ok().prose
    assert "Now: playbooks/deploy.yml --limit bookworm" in printed
    assert int(json.loads(host.file(SIGNED).content_string)["height"]) == signed()
    key = host.file(f"{HOME}/config/priv_validator_key.json")
    assert (key.user, key.mode) == ("workflow-node", 0o600)
    assert not host.service("workflow-backend-abci").is_running
    assert not host.service("workflow-backend-cometbft").is_running
    left = host.check_output(f"ls -A {HOME}/..").split()
    assert [name for name in left if "push" in name] == []


def test_the_chain_goes_on_from_there(host: Host) -> None:
    play("deploy").ok()
    wait_for_block(host, after=signed())
    assert int(json.loads(host.file(SIGNED).content_string)["height"]) > signed()
