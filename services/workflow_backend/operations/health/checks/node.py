"""Node: it answers, its app answers, it is on the right chain and level with its network."""

import asyncio

from ....chain.cometbft_answers import ChainStatus
from .. import context as limits
from ..context import Context
from ..result import Check, State


async def run(context: Context) -> list[Check]:
    """Ask CometBFT and the app, and let those checks go on that need the node."""
    try:
        status = await context.ask_node(context.node.status())
        context.catching_up.learn(status.height if status.catching_up else None)
        if await _app_is_frozen(context):
            context.app_is_frozen.learn(True)
            return [frozen_app(limits.ANSWER_SECONDS)]
        chain_id = context.settings.chain_id
        if status.chain_id == chain_id:
            context.chain.learn(status)
        return [evaluate(status, chain_id)]
    finally:
        context.app_is_frozen.learn(False)
        context.catching_up.learn(None)
        context.chain.learn(None)


async def _app_is_frozen(context: Context) -> bool:
    """Ask the app itself: CometBFT goes on answering when the app does nothing any more."""
    try:
        await asyncio.wait_for(context.node.cometbft.app_info(), limits.ANSWER_SECONDS)
    except TimeoutError:
        return True
    return False


def evaluate(status: ChainStatus, chain_id: str) -> Check:
    """Return whether the node is on the right chain and level with its network."""
    if status.chain_id != chain_id:
        return Check(
            "node",
            State.FAILED,
            f"it is on chain {status.chain_id!r}, not {chain_id!r}",
            "check XIAN_CHAIN_ID and XIAN_NODE_URL",
        )
    if status.catching_up:
        return Check(
            "node",
            State.FAILED,
            f"it is catching up with its network, now at height {status.height}",
            "wait; if the height does not move, see its peers and CometBFT's log",
        )
    return Check("node", State.OK, f"{chain_id} at height {status.height}")


def frozen_app(seconds: float) -> Check:
    """Return the result for an app that does not answer while CometBFT does."""
    return Check(
        "node",
        State.FAILED,
        f"its app does not answer in {seconds:g} s, CometBFT does",
        "see the app's log, and whether its process is stopped by a signal; the playbook "
        "restart.yml restarts it",
    )
