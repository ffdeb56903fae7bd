"""API: it answers, serves this chain and contract, and reports no problem of its own."""

import asyncio
from typing import Any

from ....client import ApiError, ApiUnavailable, connect, explained
from ....redaction import redact
from .. import context as limits
from ..context import Context, see
from ..result import BOOTSTRAP, Check, Problem, State

NAME = "api /health"
FOREIGN = "another program uses this port: end it (ss -ltnp names it) or set another port"


async def run(context: Context) -> list[Check]:
    """Ask the API for its own health, where this host has one or is told of one."""
    environment = context.settings.environment
    if "api" not in context.desired.services and "XIAN_WORKFLOW_API_URL" not in environment:
        return []
    client = connect(environment, limits.ANSWER_SECONDS)

    def ask() -> dict[str, Any]:
        with client, explained():
            return dict(client.health())

    try:
        answer = await asyncio.to_thread(ask)
    except ApiError as error:
        return [Check(NAME, State.FAILED, redact(f"{client.url}: {error}"), FOREIGN)]
    except ApiUnavailable:
        if await context.app_is_frozen.get():  # the API asks the app too, and waits for it
            return [see(NAME, "node")]
        raise
    return [evaluate(answer, context.settings.chain_id, context.settings.contract)]


def evaluate(answer: dict[str, Any], chain_id: str, contract_name: str) -> Check:
    """Return how the API is, by its own answer."""
    serves = (answer.get("network"), answer.get("workflow_contract"))
    if serves != (chain_id, contract_name):
        return Check(
            NAME,
            State.FAILED,
            f"it serves {serves[1]} on {serves[0]}, not {contract_name} on {chain_id}",
            FOREIGN,
        )
    problems = []
    if answer["status"] != "ok":
        problems.append(Problem(State.FAILED, "; ".join(answer["problems"]), "see that part"))
    if answer.get("warnings"):
        problems.append(Problem(State.WARNING, "; ".join(answer["warnings"]), BOOTSTRAP))
    return Check.worst(NAME, problems, f"it serves {contract_name}")
