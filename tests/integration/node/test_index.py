"""The index goes on whatever a block holds, and heals after a crash."""

import json
import os
import secrets
import signal
import string
from base64 import b64decode
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import pytest
from node_harness import Node
from processes import children, wait_until
from xian_py import Wallet

ODD = (Path(__file__).parent / "con_odd.s.py").read_text()


@pytest.fixture(scope="module")
def odd(node: Node) -> Node:
    """The shared node with a contract that stores and says whatever it is given."""
    node.deploy("con_odd", ODD)
    return node


def random_name(length: int) -> str:
    """A name that PostgreSQL can't compress."""
    return "".join(secrets.choice(string.ascii_letters) for _ in range(length))


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        pytest.param("store", {"key": "a", "value": "x\0y"}, id="nul-in-value"),
        pytest.param("store", {"key": "a\0b", "value": "x"}, id="nul-in-key"),
        pytest.param("store", {"key": "a", "value": {"\0": "x"}}, id="nul-in-name"),
        pytest.param("refuse", {"reason": "x\0y"}, id="nul-in-failed-transaction"),
        pytest.param("store", {"key": "n", "value": "9e999999"}, id="number-too-large"),
        pytest.param("store", {"key": "n", "value": "7" * 3 + "0123456789" * 900}, id="digits"),
        pytest.param(
            "claim_output", {"output_payloads": ["00"], "note_index": 2**40}, id="integer-too-large"
        ),
        pytest.param(random_name(6000), {}, id="name-too-long"),
    ],
)
def test_index_goes_on_after(odd: Node, function: str, arguments: dict[str, Any]) -> None:
    # Anybody may send such a transaction, so it comes from a wallet of its own.
    receipt = odd.broadcast("con_odd", function, arguments, wallet=Wallet())
    mark = secrets.token_hex(8)
    odd.broadcast("con_odd", "store", {"key": mark, "value": "after"})
    wait_until(odd.index_level, 10, "index level with the chain")
    indexed = odd.query(f"/events_for_tx/{receipt['hash']}") or []
    assert len(indexed) == len(receipt["events"])
    assert any(mark in str(event["data_indexed"]) for event in odd.events("con_odd", "Stored"))


def test_nul_is_replaced_in_the_index_alone(odd: Node) -> None:
    odd.broadcast("con_odd", "store", {"key": "left\0right", "value": "one\0two"})
    wait_until(odd.index_level, 10, "index level with the chain")
    event = odd.events("con_odd", "Stored")[-1]
    assert json.loads(event["data_indexed"]) == {"key": "left\ufffdright"}
    assert json.loads(event["data"]) == {"value": "one\ufffdtwo"}
    value = odd.rpc("abci_query", path="/get/con_odd.values:left\0right")["response"]["value"]
    assert b64decode(value) == b"one\0two"


def test_spooled_rewards_are_indexed_after_a_crash(
    make_node: Callable[..., AbstractContextManager[Node]],
) -> None:
    with make_node("paid-1", fee_mode="paid_metered") as node:
        node.deploy("con_odd", ODD)
        node.kill("postgres")  # so that the blocks stay in the spool
        receipts = [
            node.broadcast("con_odd", "store", {"key": f"k{i}", "value": "v"}, chi=2000)
            for i in range(3)
        ]
        node.kill("abci")
        wait_until(lambda: not node.running("cometbft"), 10, "CometBFT gone with its app")
        assert list((node.home / "xian" / "bds-spool").glob("*.json"))
        node.start("postgres", "abci", "cometbft")
        node.wait_ready()
        assert all(receipt["rewards"] for receipt in receipts)
        assert len(node.events("con_odd", "Stored")) == 3


def test_unreadable_spooled_block_is_fetched_again(
    make_node: Callable[..., AbstractContextManager[Node]],
) -> None:
    with make_node("spool-1") as node:
        node.deploy("con_odd", ODD)
        node.kill("postgres")
        node.broadcast("con_odd", "store", {"key": "k", "value": "v"})
        node.kill("abci")
        wait_until(lambda: not node.running("cometbft"), 10, "CometBFT gone with its app")
        spooled = min((node.home / "xian" / "bds-spool").glob("*.json"))
        spooled.write_text("")  # what a machine that loses its power leaves
        node.start("postgres", "abci", "cometbft")
        node.wait_ready()
        assert len(node.events("con_odd", "Stored")) == 1


def test_database_that_hangs_does_not_keep_the_app_from_stopping(
    make_node: Callable[..., AbstractContextManager[Node]],
) -> None:
    with make_node("hang-1") as node:
        node.deploy("con_odd", ODD)
        postmaster = node.child("postgres")
        processes = [postmaster, *children(postmaster)]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        node.broadcast("con_odd", "store", {"key": "k", "value": "v"})
        node.kill("cometbft")
        wait_until(lambda: not node.running("abci"), 15, "the app stops")
        for process in processes:
            os.kill(process, signal.SIGCONT)
        node.start("abci", "cometbft")
        node.wait_ready()
        assert len(node.events("con_odd", "Stored")) == 1


def test_database_that_is_made_anew_is_filled_again(
    make_node: Callable[..., AbstractContextManager[Node]],
) -> None:
    with make_node("anew-1") as node:
        node.deploy("con_odd", ODD)
        node.broadcast("con_odd", "store", {"key": "k", "value": "v"})
        wait_until(node.index_level, 10, "index level with the chain")
        node.postgres("psql", "-c", "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        with suppress(OSError):  # the app may have ended before it could answer
            node.broadcast("con_odd", "store", {"key": "k", "value": "w"})
        wait_until(lambda: not node.running("abci"), 15, "the app ends")
        message = "its database was made anew"
        wait_until(lambda: message in node.log("abci"), 5, "the log says why")
        node.start("abci", "cometbft")
        node.wait_ready()
        assert len(node.events("con_odd", "Stored")) in {1, 2}


def test_lost_database_is_filled_though_later_blocks_wait_in_great_number(
    make_node: Callable[..., AbstractContextManager[Node]],
) -> None:
    with make_node("many-1") as node:
        node.deploy("con_odd", ODD)
        wait_until(node.index_level, 10, "index level with the chain")
        postmaster = node.child("postgres")
        processes = [postmaster, *children(postmaster)]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        for number in range(8):
            node.broadcast("con_odd", "store", {"key": "k", "value": str(number)})
        node.kill("abci")
        for process in processes:
            os.kill(process, signal.SIGCONT)
        node.postgres("psql", "-c", "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        settings = node.home / "config" / "xian.toml"
        text = settings.read_text()
        assert "queue_max_size = 128" in text
        settings.write_text(text.replace("queue_max_size = 128", "queue_max_size = 4"))
        wait_until(lambda: not node.running("cometbft"), 10, "CometBFT gone with its app")
        node.start("abci", "cometbft")
        node.wait_ready()
        assert len(node.events("con_odd", "Stored")) == 8


def test_database_of_another_network_is_refused(
    node: Node, make_node: Callable[..., AbstractContextManager[Node]]
) -> None:
    with make_node("other-1") as other:
        other.kill("abci")
        other.dsn, own = node.dsn, other.dsn
        other.start("abci")
        wait_until(lambda: not other.running("abci"), 30, "the app refuses")
        assert "holds the index of another network" in other.log("abci")
        other.dsn = own
        other.start("abci", "cometbft")
        other.wait_ready()
