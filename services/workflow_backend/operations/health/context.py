"""What the checks of one run share: settings, the node, and what one check learns for another."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field

from ...chain.cometbft_answers import ChainStatus
from ...chain.node import Node
from ...errors import NodeUnavailable, WorkflowError
from ...settings import Settings
from ..desired_state import DesiredState
from .result import Check, State

BEAT_SECONDS = 3.0
"""A service beats every second: one without a beat in this time is stopped or hangs."""

STILL_SECONDS = 5.0
"""An index that is behind, or a chain that has work, must move within this time."""

ANSWER_SECONDS = 5.0
"""How long the node, the API or a file system may take for one answer."""

POLL_SECONDS = 0.2


class Fact[T]:
    """Something that one check learns and others wait for; None when it could not be learnt."""

    def __init__(self) -> None:
        self._value: T | None = None
        self._is_known = asyncio.Event()

    def learn(self, value: T | None) -> None:
        """Set the value, unless it is set already, and let those go on that wait for it."""
        if not self._is_known.is_set():
            self._value = value
            self._is_known.set()

    async def get(self) -> T | None:
        """Wait for the value."""
        await self._is_known.wait()
        return self._value


@dataclass(frozen=True, slots=True)
class Context:
    """What the checks of one run share.

    `chain` is the status of a node that is on the right chain and whose app answers.
    `app_is_frozen` tells whether CometBFT answers and its app does not. `indexed_height` is the
    index's height, `projector_heights` are those in the projector's first and last heartbeat.
    `catching_up` is the height of a node that is catching up, `index_catching_up` that of an index
    which is far behind its node.
    """

    settings: Settings
    desired: DesiredState
    node: Node
    contract_source: str | None
    chain: Fact[ChainStatus] = field(default_factory=Fact)
    app_is_frozen: Fact[bool] = field(default_factory=Fact)
    catching_up: Fact[int] = field(default_factory=Fact)
    index_catching_up: Fact[int] = field(default_factory=Fact)
    indexed_height: Fact[int] = field(default_factory=Fact)
    projector_heights: Fact[tuple[int | None, int | None]] = field(default_factory=Fact)

    async def ask_node[T](self, question: Awaitable[T]) -> T:
        """Await a question to the node; raises NodeUnavailable when it takes too long."""
        try:
            return await asyncio.wait_for(question, ANSWER_SECONDS)
        except TimeoutError:
            raise NodeUnavailable(
                f"no answer from the node at {self.settings.node_url} in {ANSWER_SECONDS:g} s"
            ) from None


def see(name: str, other: str) -> Check:
    """Return the result of a check that another one's failure made impossible."""
    return Check(name, State.UNKNOWN, f"see the {other}")


def failure(name: str, error: Exception) -> Check:
    """Return the result of a check that raised; one that broke must not hide what others found."""
    if isinstance(error, WorkflowError):
        return Check(name, State.FAILED, str(error), error.hint)
    return Check(name, State.FAILED, f"the check itself failed: {error!r}")


async def or_failure(name: str, check: Awaitable[Check]) -> Check:
    """Await one of several results of a check; one that raises is a failed one."""
    try:
        return await check
    except Exception as error:
        return failure(name, error)
