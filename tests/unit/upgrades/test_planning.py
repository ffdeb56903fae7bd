"""A plan says what happens, in which order and why, or refuses before anything is changed."""

from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.upgrades import planning
from workflow_backend.operations.upgrades.planning import ReleaseChange
from workflow_backend.operations.upgrades.releases import InstalledReleases

from ..network.statuses import NAMES, node, nodes
from .installed import VERSIONS, host


def upgrade(hosts: dict[str, Any], **more: Any) -> ReleaseChange:
    return ReleaseChange(hosts=hosts, target="new", versions=more.pop("versions", VERSIONS), **more)


FOUR = {name: host("old", "older") for name in NAMES}


def test_plan_takes_one_host_at_a_time() -> None:
    found = planning.plan_release(upgrade(FOUR), nodes(*NAMES))
    assert (found["release"], found["together"]) == ("new", False)
    assert found["order"] == list(NAMES)
    assert found["from"] == dict.fromkeys(NAMES, "old")
    assert found["report"] == [
        "from release old to new, one host at a time",
        *(
            f"{name}: its release changes; without {name} 30 of 40 voting power is up: "
            "the chain goes on"
            for name in NAMES
        ),
    ]


def test_plan_goes_on_with_the_host_that_is_down() -> None:
    hosts = FOUR | {"a": host("new", "old"), "b": host("new", "old")}
    found = planning.plan_release(upgrade(hosts), nodes(*NAMES, down=["b"]))
    assert found["order"] == ["b", "a", "c", "d"]
    assert found["from"] == {"a": "", "b": "", "c": "old", "d": "old"}
    assert "first, because its node is down" in found["report"][1]


def test_plan_checks_all_again_in_a_second_run() -> None:
    found = planning.plan_release(upgrade(dict.fromkeys(NAMES, host("new", "old"))), nodes(*NAMES))
    assert found["report"][0].startswith("every host has release new")


def test_plan_refuses_to_let_the_chain_stand_still() -> None:
    two = {name: host("old") for name in ("a", "b")}
    with pytest.raises(RecoveryRefused, match="the chain stands still"):
        planning.plan_release(upgrade(two), nodes("a", "b"))
    assert planning.plan_release(upgrade(two, together=True), nodes("a", "b"))["together"] is True


def test_plan_says_that_a_single_validator_stops_the_chain() -> None:
    found = planning.plan_release(upgrade({"a": host("old")}), nodes("a"))
    assert "the chain stands still meanwhile" in found["report"][1]


def test_plan_refuses_another_app_unless_declared_or_together() -> None:
    other = VERSIONS | {"xian-tech-abci": "2.0"}
    with pytest.raises(RecoveryRefused, match=r"xian-tech-abci 1.0 -> 2.0") as refused:
        planning.plan_release(upgrade(FOUR, versions=other), nodes(*NAMES))
    assert "-e upgrade_together=true" in refused.value.hint
    for way in ({"declared": True}, {"compatible_with": ["old"]}, {"together": True}):
        found = planning.plan_release(upgrade(FOUR, versions=other, **way), nodes(*NAMES))
        assert found["together"] is ("together" in way)
    with pytest.raises(RecoveryRefused, match="another app"):
        planning.plan_release(
            upgrade(FOUR, versions=other, compatible_with=["older"]), nodes(*NAMES)
        )


def test_plan_needs_as_many_forks_as_hosts_that_stop_together() -> None:
    with pytest.raises(RecoveryRefused, match="4 hosts can't stop together with 3 forks") as no:
        planning.plan_release(upgrade(FOUR, together=True, forks=3), nodes(*NAMES))
    assert no.value.hint == "give ansible-playbook -f 4"


def test_plan_refuses_hosts_without_a_release() -> None:
    with pytest.raises(RecoveryRefused, match="no release on b"):
        planning.plan_release(upgrade(FOUR | {"b": host(None)}), nodes(*NAMES))


def test_plan_goes_back_to_the_previous_release() -> None:
    hosts = {name: host("new", "old") for name in NAMES}
    found = planning.plan_release(ReleaseChange(hosts=hosts, back=True), nodes(*NAMES))
    assert found["release"] == "old"
    assert found["from"] == dict.fromkeys(NAMES, "new")
    again = planning.plan_release(
        ReleaseChange(hosts=dict.fromkeys(NAMES, host("old", "old")), back=True), {}
    )
    assert again["release"] == "old"


def test_plan_goes_back_by_what_all_hosts_say_of_the_release() -> None:
    """The first host alone must not decide that another app may run side by side."""
    new, old = VERSIONS | {"xian-tech-abci": "2.0"}, VERSIONS
    honest = InstalledReleases(current="new", previous="old", releases={"new": new, "old": old})
    liar = honest.model_copy(update={"releases": {"new": new, "old": new}})
    with pytest.raises(RecoveryRefused, match="do not say the same of release old"):
        planning.plan_release(
            ReleaseChange(hosts={**dict.fromkeys(NAMES, honest), "a": liar}, back=True),
            nodes(*NAMES),
        )


def test_plan_moves_nothing_back_that_it_does_not_move() -> None:
    hosts = dict.fromkeys(NAMES, host("new", "old", **{"xian-tech-abci": "0.1"}))
    found = planning.plan_release(upgrade(hosts), nodes(*NAMES))
    assert (found["moved"], found["from"]) == ([], dict.fromkeys(NAMES, ""))


def test_plan_resumes_a_run_of_all_at_once() -> None:
    moved = dict.fromkeys(NAMES, host("new", "old"))
    for down in (NAMES, ("b", "c", "d")):
        for more in ({}, {"together": True}):
            found = planning.plan_release(upgrade(moved, **more), nodes(*NAMES, down=down))
            assert (found["together"], found["moved"]) == (True, [])
            assert found["one_height"] is False
            assert "all start with it at once" in found["report"][0]
            assert found["report"][1].endswith("starts with all others")
    half = moved | {"d": host("old")}
    other = VERSIONS | {"cometbft": "v2"}
    found = planning.plan_release(
        upgrade(half, together=True, versions=other), nodes(*NAMES, down=NAMES)
    )
    assert (found["together"], found["moved"]) == (True, ["d"])
    assert found["one_height"] is True


def test_plan_stops_no_chain_with_nothing_to_do() -> None:
    found = planning.plan_release(
        upgrade(dict.fromkeys(NAMES, host("new", "old")), together=True), nodes(*NAMES)
    )
    assert found["together"] is False


def test_plan_of_all_at_once_leaves_out_no_node() -> None:
    some = {name: FOUR[name] for name in ("a", "b")}
    with pytest.raises(RecoveryRefused, match="leaves out c, d") as refused:
        planning.plan_release(upgrade(some, together=True), nodes(*NAMES))
    assert "without --limit" in refused.value.hint
    with pytest.raises(RecoveryRefused, match="leaves out c, d"):
        planning.plan_release(upgrade(some, together=True), nodes(*NAMES, down=NAMES))


def test_plan_of_all_at_once_refuses_beside_validators_that_the_inventory_lacks() -> None:
    """They would go on with another release, at a height that nobody here knows."""
    with pytest.raises(RecoveryRefused, match="10 of 50 voting power is of validators that this"):
        planning.plan_release(upgrade(FOUR, together=True), nodes(*NAMES, foreign=1))
    agreeing = upgrade(FOUR, together=True, declared=True)
    assert planning.plan_release(agreeing, nodes(*NAMES, foreign=1))["together"] is True


def test_plan_starts_all_at_once_where_no_node_answers() -> None:
    found = planning.plan_release(upgrade(FOUR, forks=1), nodes(*NAMES, down=NAMES))
    assert found["together"] is True  # one alone would wait for the others
    alone = planning.plan_release(upgrade({"a": FOUR["a"]}), nodes(*NAMES, down=NAMES))
    assert "the chain stands still already" in alone["report"][1]


class TestVerbs:
    def test_restart_takes_one_host_at_a_time(self) -> None:
        found = planning.plan_verb("restart", NAMES, nodes(*NAMES))
        assert found["together"] is False
        assert "30 of 40" in found["report"][0]
        with pytest.raises(RecoveryRefused, match="stands still"):
            planning.plan_verb("restart", ["a", "b"], nodes("a", "b"))

    def test_stop_says_what_becomes_of_the_chain(self) -> None:
        assert (
            "the chain stands still"
            in planning.plan_verb("stop", NAMES, nodes(*NAMES))["report"][-1]
        )
        assert "the chain goes on" in planning.plan_verb("stop", ["a"], nodes(*NAMES))["report"][-1]
        assert len(planning.plan_verb("stop", ["a"], nodes("a", down=["a"]))["report"]) == 1

    def test_stop_of_some_is_refused_where_the_others_need_them(self) -> None:
        for some, seen in (
            (["a", "b"], nodes(*NAMES)),
            (["a"], nodes(*NAMES, down=["b"])),
            (["a"], nodes("a") | {"z": node("z", {"A": 10}, ["A"])}),  # the only validator
        ):
            with pytest.raises(RecoveryRefused, match="the chain stands still") as refused:
                planning.plan_verb("stop", some, seen)
            assert "without --limit" in refused.value.hint

    def test_stop_of_what_takes_nothing_away_is_allowed(self) -> None:
        planning.plan_verb("stop", ["b"], nodes(*NAMES, down=["a", "b"]))
        planning.plan_verb(
            "stop", ["z", "postgres"], nodes("a", "b") | {"z": node("z", {"A": 10}, [])}
        )
        planning.plan_verb("stop", [*NAMES, "postgres"], nodes(*NAMES, down=["a", "b"]))

    def test_start_plans_every_host(self) -> None:
        found = planning.plan_verb("start", NAMES, nodes(*NAMES, down=NAMES))
        assert len(found["report"]) == 4


ALL_NEW: dict[str, list[str]] = {name: [] for name in NAMES}


def test_deployment_restarts_nodes_in_turn_and_says_what_restarts() -> None:
    programs = ALL_NEW | {"a": ["api"], "b": ["abci", "cometbft", "api"], "c": ["cometbft"]}
    found = planning.plan_restarts(programs, {}, nodes(*NAMES))
    without = "30 of 40 voting power is up: the chain goes on"
    assert found["order"] == ["b", "c"]
    assert found["report"] == [
        "a: restarts api",
        "b: restarts api",
        f"b: in turn, restarts abci, cometbft; without b {without}",
        f"c: in turn, restarts cometbft; without c {without}",
    ]


def test_deployment_that_restarts_no_node_takes_none_in_turn() -> None:
    found = planning.plan_restarts(ALL_NEW | {"a": ["postgres"]}, {}, {})
    assert (found["order"], found["report"]) == ([], ["a: restarts postgres"])
    assert planning.plan_restarts(ALL_NEW, ALL_NEW, {})["report"] == []


def test_deployment_is_refused_where_a_restart_would_stop_the_chain() -> None:
    programs = {"a": ["abci"], "b": ["abci"]}
    with pytest.raises(RecoveryRefused, match="the chain stands still"):
        planning.plan_restarts(programs, {}, nodes("a", "b"))


def test_deployment_says_what_leaves_and_counts_it_as_down_from_then_on() -> None:
    leaving = ALL_NEW | {"a": ["api", "processor"], "d": ["cometbft", "abci"]}
    found = planning.plan_restarts(ALL_NEW, leaving, nodes(*NAMES))
    assert found["order"] == []
    without = "without d 30 of 40 voting power is up: the chain goes on"
    assert found["report"] == [
        "a: stops and removes api, processor, no longer defined",
        f"d: stops and removes cometbft, abci, no longer defined; {without}",
    ]
    with pytest.raises(RecoveryRefused, match="without a 20 of 40"):
        planning.plan_restarts(ALL_NEW | {"a": ["abci"]}, leaving, nodes(*NAMES))
    with pytest.raises(RecoveryRefused, match="without d 20 of 40"):
        planning.plan_restarts(ALL_NEW, leaving | {"c": ["abci"]}, nodes(*NAMES))


def test_deployment_takes_no_chain_its_only_validator() -> None:
    with pytest.raises(RecoveryRefused, match="all the voting power"):
        planning.plan_restarts({}, {"a": ["cometbft"]}, nodes("a"))
    found = planning.plan_restarts({}, {"a": ["api"]}, nodes("a"))
    assert found["report"] == ["a: stops and removes api, no longer defined"]
