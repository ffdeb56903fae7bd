"""Reads the state of a stopped node: its newest block, and the last height its validator signed.

The request has the `home`; a home whose app runs is refused. The answer has `height`, `app_hash`
and `signed`. Playbooks also call it in other releases than theirs, by this name (a node at rest).
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from contracting.storage.driver import Driver
from loguru import logger
from xian.utils.block import get_committed_latest_block

from workflow_backend_node import signing_state
from workflow_backend_node.requests import Object, Refused, parse, run
from workflow_backend_node.snapshot import Home, copy_state, stopped


@dataclass(frozen=True)
class StoppedNode:
    """The home of a node that must not run."""

    home: str


def answer(given: Object, check: bool) -> Object:
    """Say it; raises `Refused`."""
    del check
    home = Path(parse(StoppedNode, given, "rest").home)
    stopped(Home("stopped", str(home)))
    with tempfile.TemporaryDirectory(prefix=".rest.", dir=home.parent) as folder:
        storage = Path(folder)
        copy_state(home / "xian" / "lmdb", storage / "lmdb")
        with Driver(storage_home=storage) as driver:
            block = get_committed_latest_block(driver)
    signing = signing_state.of(home)
    if signing is None:
        raise Refused(f"{signing_state.place(home)} is missing: {signing_state.LOST}")
    return {
        "height": int(block["height"]),
        "app_hash": block["hash"],
        "signed": int(signing["height"]),
    }


if __name__ == "__main__":
    logger.remove()  # what goes wrong is printed in one line
    sys.exit(run(answer))
