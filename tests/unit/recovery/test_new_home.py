"""A home is created from keys alone only for a validator that has surely never signed."""

from collections.abc import Callable
from typing import Any

import pytest

from workflow_backend.errors import RecoveryRefused

from .fake_chain import Chain
from .guard_requests import DOWN, FAR_AHEAD, ask, hiding

type Serve = Callable[..., dict[str, dict[str, str]]]


def test_new_home_is_created_at_a_first_deployment(serve: Serve) -> None:
    assert ask(DOWN, "new-home")["seen"] is None
    assert ask(serve(Chain(height=0)), "new-home")["seen"] is None


def test_new_home_is_refused_to_a_validator_that_lost_its_own(serve: Serve) -> None:
    with pytest.raises(
        RecoveryRefused, match="has no home, and its chain has 10 blocks"
    ) as refused:
        ask(serve(Chain()), "new-home")
    assert "push-home.yml" in refused.value.explain()
    assert "bootstrap-state-sync.yml" in refused.value.explain()


def test_new_home_is_created_after_a_deployment_that_was_cut_short(serve: Serve) -> None:
    answer = ask(serve(Chain(signers={"b", "c", "d"})), "new-home")
    assert answer["proven"] == "it signed none of the 10 blocks that there are"
    assert answer["seen"]["height"] == "10"


def test_new_home_is_refused_where_the_control_machine_remembers_one() -> None:
    with pytest.raises(RecoveryRefused, match="has no home, and had one since 2026-01-01"):
        ask({}, "new-home", made="2026-01-01")
    assert ask({}, "new-home", made="2026-01-01", sure=True)["seen"] is None
    assert ask({}, "new-home")["seen"] is None


def test_new_home_counts_blocks_that_are_gone_as_signed(serve: Serve) -> None:
    with pytest.raises(RecoveryRefused, match="took part in"):
        ask(serve(Chain(signers={"b"}, height=12, base=2)), "new-home")


def test_new_home_is_created_for_a_node_without_voting_power(serve: Serve) -> None:
    assert ask(serve(Chain(powers={"b": 10})), "new-home")["proven"] == "it has no voting power"


def test_new_home_is_refused_while_a_host_is_down() -> None:
    down = {"b": {"url": "http://127.0.0.1:1", "ssh": "false host-b"}}
    with pytest.raises(RecoveryRefused, match="nobody can tell whether its validator has signed"):
        ask(down, "new-home")
    assert ask(down, "new-home", sure=True)["seen"] is None


def test_new_home_is_refused_where_the_inventory_lacks_a_host_of_the_network(
    serve: Serve,
) -> None:
    """Nobody asks that one, and its chain may go on with what the lost home has signed."""
    for ways in ({}, DOWN, serve(Chain(height=0))):
        with pytest.raises(RecoveryRefused, match="this inventory does not name c, d of its net"):
            ask(ways, "new-home", unnamed=["c", "d"])
        assert ask(ways, "new-home", unnamed=["c", "d"], sure=True)["seen"] is None


def test_new_home_is_not_created_by_the_word_of_one_peer(serve: Serve) -> None:
    for lies in ({"b": FAR_AHEAD}, {"b": hiding(10)}, {"b": hiding(10), "c": hiding(10)}):
        with pytest.raises(RecoveryRefused, match="has no home"):
            ask(serve(Chain(lies=lies)), "new-home")
    with pytest.raises(RecoveryRefused, match="has no home"):
        ask(serve(Chain(lies={"b": hiding(10)}), "b"), "new-home")
    answer = ask(serve(Chain(signers=set("bcd"), lies={"b": FAR_AHEAD})), "new-home")
    assert answer["seen"]["height"] == "10"


def test_new_home_of_a_host_without_votes_in_the_genesis_takes_two_peers(serve: Serve) -> None:
    """The chain may have given it votes since, and one peer hide them."""
    hidden = Chain(lies={"b": hiding(10)})
    cases: list[tuple[Any, dict[str, Any]]] = [
        (serve(hidden, "b") | {"c": DOWN["b"]}, {}),
        (serve(hidden, "b"), {"unnamed": ["c"]}),
    ]
    for peers, more in cases:
        with pytest.raises(RecoveryRefused, match=r"as b alone says, and .*others .*\(c\)") as no:
            ask(peers, "new-home", power=0, **more)
        assert "-e xian_recovery_sure=true" in no.value.explain()
        answer = ask(peers, "new-home", power=0, sure=True, **more)
        assert answer["proven"].startswith("the operator is sure; it has no voting power, as b ")


def test_new_home_is_created_by_the_word_of_the_only_other_host(serve: Serve) -> None:
    answer = ask(serve(Chain(powers={"b": 10}), "b"), "new-home", power=0)
    assert (answer["proven"], answer["seen"]) == ("it has no voting power, as b alone says", None)
