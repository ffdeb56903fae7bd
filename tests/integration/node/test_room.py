"""A disk without room stops the chain, and with room again it goes on by itself."""

import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from node_harness import Node
from processes import wait_until

ODD = (Path(__file__).parent / "con_odd.s.py").read_text()


def test_cometbft_without_room_ends_and_goes_on_where_it_was(
    make_node: Callable[..., AbstractContextManager[Node]],
) -> None:
    """Its consensus dies of the first write that fails, and then it would answer for ever."""
    with make_node("room-1") as node:
        node.deploy("con_odd", ODD)
        node.broadcast("con_odd", "store", {"key": "before", "value": "v"})
        comet = node.child("cometbft")
        # A file that may not grow fails as on a full disk does, for this process alone.
        limit = ["prlimit", "--pid", str(comet), "--fsize=0:"]
        subprocess.run([*node.toolchain.as_account, *limit], check=True)

        def ended_by_a_block() -> bool:
            with suppress(OSError):  # the answer would come with the block
                node.broadcast("con_odd", "store", {"key": "meanwhile", "value": "v"})
            return not node.running("cometbft")

        wait_until(ended_by_a_block, 60, "CometBFT ended")
        assert "CONSENSUS FAILURE" in node.log("cometbft")
        node.kill("abci")
        node.start("abci", "cometbft")
        node.wait_ready()
        node.broadcast("con_odd", "store", {"key": "after", "value": "v"})
        wait_until(node.index_level, 30, "index level with the chain")
        assert len(node.events("con_odd", "Stored")) >= 2
