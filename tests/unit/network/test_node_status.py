"""A node's status says why the node does not count, and never takes the place of an error."""

import asyncio
from typing import Any

import pytest

from workflow_backend.operations.network.endpoints import NodeAddress, open_endpoints
from workflow_backend.operations.network.node_status import NodeStatus, read_statuses

from ..recovery.fake_chain import CHAIN, KEYS, Chain, Served, address


def read(chain: Chain, key: str = KEYS["b"]) -> NodeStatus:
    """The status of host b of a chain."""
    with (
        Served(chain, "b") as served,
        open_endpoints({"b": NodeAddress(url=served.url, public_key=key)}) as endpoints,
    ):
        return asyncio.run(read_statuses(endpoints, CHAIN))["b"]


def test_status_has_height_validators_and_signers() -> None:
    status = read(Chain(signers={"a", "b"}))
    assert (status.height, status.is_up, status.validator) == (10, True, address(KEYS["b"]))
    assert status.powers == {address(KEYS[name]): 10 for name in "abcd"}
    assert status.signers == {address(KEYS["a"]), address(KEYS["b"])}
    assert status.as_dict()["power"] == 10


def test_status_has_slow_votes_of_the_block_before() -> None:
    chain = Chain(signers={"a", "b", "c"})
    chain.signed[9] = {"a", "b", "c", "d"}
    status = read(chain)
    assert address(KEYS["d"]) not in status.signers
    assert address(KEYS["d"]) in status.earlier_signers


def test_status_of_a_node_without_the_block_before_has_no_earlier_signers() -> None:
    status = read(Chain(base=10))
    assert (status.problem, status.earlier_signers) == ("", frozenset())


@pytest.mark.parametrize(
    ("lie", "problem"),
    [
        ({"status": {"node_info": {"network": "other"}}}, "on chain 'other', not 'unit-1'"),
        ({"status": {"sync_info": {"catching_up": "perhaps"}}}, "answers status as no node does"),
        ({"num_unconfirmed_txs": {"n_txs": "-1"}}, "answers num_unconfirmed_txs as no node does"),
        ({"validators": {"total": "1000000000"}}, "answers validators as no node does"),
        ({"commit": {"signed_header": []}}, "answers commit as no node does"),
    ],
)
def test_status_of_a_node_with_impossible_answers_is_a_problem(
    lie: dict[str, Any], problem: str
) -> None:
    status = read(Chain(lies={"b": lie}))
    assert problem in status.problem
    assert (status.is_up, status.powers) == (False, None)
    assert status.as_dict() == {"problem": status.problem}


def test_status_of_a_node_with_another_key_is_a_problem() -> None:
    status = read(Chain(), KEYS["c"])
    assert f"network.json gives the host the key of {address(KEYS['c'])}" in status.problem
    assert status.validator == address(KEYS["c"])


def test_status_of_a_silent_node_is_a_problem() -> None:
    with open_endpoints({"b": NodeAddress(url="http://127.0.0.1:1", public_key="")}) as endpoints:
        status = asyncio.run(read_statuses(endpoints, CHAIN))["b"]
    assert "no connection" in status.problem
