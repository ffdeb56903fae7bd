"""A lost host has state and index from its peers, where those agree."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.hosts import forged, heights
from tests.hosts.flow import flowing
from tests.hosts.network import Network
from tests.hosts.validators import (
    HOME,
    LOSE_EVERYTHING,
    SERVING,
    eventually,
    four,
    height,
    signed,
    starts,
    status,
    steps,
)

ITEMS = 1000  # that are accepted while a host is lost and comes back
CLIENTS = 16
CHAIN = "sync-1"


@pytest.fixture(scope="module")
def hosts(
    make_hosts: Callable[..., AbstractContextManager[Network]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Network]:
    with four(make_hosts, "sync", tmp_path_factory.mktemp("control")) as booted:
        yield booted


def other(place: Path, **hosts: dict[str, str]) -> list[str]:
    """An inventory that says something else of some hosts, as an argument after the first one."""
    place.write_text(json.dumps({"all": {"hosts": hosts}}))
    return ["-i", str(place)]


APART = "the peers do not agree on block"
ODD = {
    "v3: it is on chain ": (
        f'"network": *"{CHAIN}"',
        '"network":"elsewhere"',
    ),
    f"v3: its node id is {'e' * 40}, network.json gives it": (
        r'"id": *"[0-9a-f]{40}"',
        f'"id":"{"e" * 40}"',
    ),
    "v3: it says height 1": (r'"latest_block_height": *"', '"latest_block_height":"1000000'),
    "answers status as no node does: node_info.network: Field required": (
        r'"node_info": *{',
        '"node_info":[],"other":{',
    ),
}
LIES = [
    (APART, r'"app_hash": *"\w+"', f'"app_hash":"{"EE" * 32}"'),
    (APART, r'"block_id": *{"hash": *"\w+"', f'"block_id":{{"hash":"{"EE" * 32}"'),
]


def test_peers_that_do_not_agree_are_not_trusted_and_the_node_goes_on(
    hosts: Network, tmp_path: Path
) -> None:
    node, all_units = hosts["v2"], "'workflow-backend-*'"
    arguments = {"xian_recovery_host": "v2", "xian_recovery_give_up_data": True}
    lying = other(tmp_path / "lying.json", v3={"xian_node_rpc_address": forged.ADDRESS})
    with flowing(hosts, ["v2"], "doubted", clients=1) as flow:
        before, first = starts(node, all_units), height(node)
        for sentence, odd in ODD.items():
            # One that counts as down is missed: the chain would stand still without v2.
            with forged.forged(hosts["v3"], *odd):
                plan = hosts.play("bootstrap-state-sync", *lying, plan_only=True, **arguments)
            assert sentence in plan.wait().prose, sentence
            assert all(numbers["changed"] == 0 for numbers in plan.recap.values())
        for sentence, *lie in LIES:
            with forged.forged(hosts["v3"], *lie):
                play = hosts.play("bootstrap-state-sync", *lying, **arguments).failed()
            assert sentence in play.prose
            assert all(numbers["changed"] == 0 for numbers in play.recap.values())
        alias = {"ansible_host": hosts["v1"].address}
        twice = other(tmp_path / "twice.json", v3=alias, v4=alias)
        play = hosts.play("bootstrap-state-sync", *twice, **arguments).failed()
        assert "v3 says that it is the same node as v1" in play.prose
        with forged.forged(hosts["v3"]):  # one that begins to lie after the plan was made
            play = hosts.begin("bootstrap-state-sync", *lying, **arguments).until("PLAY [(2/4)")
        with forged.forged(hosts["v3"], *lie):
            play.failed()
        assert APART in play.prose
        assert starts(node, all_units) == before
        assert height(node) > first
        flow.until(len(flow.accepted) + 20)


def test_a_lost_host_has_state_and_index_from_peers(hosts: Network) -> None:
    """It served an API too; its projection is made anew from the index."""
    node = hosts["v2"]
    with flowing(hosts, SERVING, "synced", pause=0, clients=CLIENTS) as flow:
        flow.until(20)
        node.run(LOSE_EVERYTHING)
        flow.until(len(flow.accepted) + 20)
        plan = hosts.play("bootstrap-state-sync", xian_recovery_host="v2", plan_only=True)
        assert "which are different nodes and have to agree" in plan.unchanged().prose
        play = hosts.play("bootstrap-state-sync", xian_recovery_host="v2").ok()
        assert "v2 has the state of its peers" in play.prose
        found = status(node)["sync_info"]
        assert int(found["earliest_block_height"]) > 1
        assert found["catching_up"] is False
        begun = signed(node)
        eventually(lambda: signed(node) > begun, "it signs on")
        flow.until(ITEMS, timeout=600)
    heights.agreed(hosts, SERVING)
    tunnels = "ss --no-header --listening --tcp --numeric 'sport >= 26670 and sport <= 26672'"
    assert node.output(tunnels) == ""
    hosts.play("deploy").unchanged()
    hosts.play("health").ok()


def test_a_node_that_runs_is_given_up_and_keeps_its_index(hosts: Network) -> None:
    """Killed, and its host rebooted, a run begins anew where the next one is asked for."""
    arguments: dict[str, object] = {"xian_recovery_host": "v2", "xian_recovery_give_up_data": True}
    reached = "TASK [xian_recovery : Wait until the node has caught up"
    hosts.begin("bootstrap-state-sync", **arguments).until(reached).stop()
    del arguments["xian_recovery_give_up_data"]  # it was given up: the next run begins anew
    reached = "TASK [Install the source of the contract]"
    hosts.begin("bootstrap-state-sync", **arguments).until(reached).stop()
    hosts["v2"].reboot()
    play = hosts.play("bootstrap-state-sync", **arguments).ok()
    kept = hosts["v2"].output(f"ls -d {HOME}.before-recovery-*").split()
    printed = play.prose
    assert f"Moved aside on the host, of which the newest 2 stay: {', '.join(kept)}" in printed
    assert (
        "has a home with blocks" in hosts.play("bootstrap-state-sync", **arguments).failed().prose
    )
    (proof,) = [step for step in steps(hosts) if step["step"] == "note"][-1:]
    assert proof["index"] == "its own"
    heights.agreed(hosts, SERVING)
    hosts.play("deploy").unchanged()
