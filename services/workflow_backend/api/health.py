"""Routes that tell how things are: for people, for a load balancer, for Prometheus."""

import contextlib
from datetime import datetime
from functools import partial

from fastapi import APIRouter, HTTPException, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ..errors import IndexUnavailable, NodeUnavailable, TokensUnavailable, WorkflowError
from .access import Reader
from .backend import Backend, Used
from .description import OPEN
from .models import Health, Live, ProjectionHealth
from .problems import responses, told

router = APIRouter(tags=["health"])

LAG_LIMIT = 20
LAG_SECONDS = 30.0
"""So far may the projection be behind and still be called healthy."""


@router.get("/health/live", responses=responses(), openapi_extra=OPEN)
async def check_live() -> Live:
    """Answer while the process can: nothing else is asked."""
    return Live()


@router.get("/health/ready", responses=responses(429, 503), openapi_extra=OPEN)
async def check_ready(used: Used) -> Live:
    """Answer 200 while this process can do its work: take submissions, tell what became of them."""
    problems = (await used.health.get(partial(_health, used))).problems
    if problems:
        raise HTTPException(503, "; ".join(problems))
    return Live()


@router.get("/health", responses=responses(429), openapi_extra=OPEN)
async def get_health(used: Used) -> Health:
    """Tell whether this API can do its work; degraded where a part of it can't be reached."""
    return await used.health.get(partial(_health, used))


async def _health(used: Backend) -> Health:
    problems: list[str] = []
    if used.tokens is not None:
        try:
            used.tokens.require()
        except TokensUnavailable as error:
            problems.append(told(error))
    found: dict[str, int | None] = dict.fromkeys(("height", "indexed_height", "projected_height"))
    try:
        found["height"] = (await used.node.require_chain(used.settings.chain_id)).height
        found["indexed_height"] = await used.node.indexed_height()
    except WorkflowError as error:
        problems.append(told(error))
    try:
        projected = (await used.store.position()).height
        found["projected_height"] = projected
        behind = used.lag.seconds(projected)
        if behind > LAG_SECONDS:
            problems.append(
                f"the projection has been behind the chain for {behind:.0f} s: see the projector"
            )
    except WorkflowError as error:
        problems.append(told(error))
    writing = used.writing
    warning = writing.funds.warning if writing else ""
    return Health(
        status="degraded" if problems else "ok",
        chain_id=used.settings.chain_id,
        contract=used.settings.contract,
        requester=writing.submitter.address if writing else None,
        problems=problems,
        warnings=[warning] if warning else [],
        **found,
    )


@router.get("/projection/health", responses=responses(401, 403, 429, 503))
async def get_projection_health(used: Used, _: Reader) -> ProjectionHealth:
    """Tell how level the projection is with the index, and for how long it has not been."""
    position = await used.store.position()
    indexed: int | None = None
    with contextlib.suppress(NodeUnavailable, IndexUnavailable):  # null in the answer says so
        indexed = await used.node.indexed_height()
    lag = None if indexed is None else max(0, indexed - position.height)
    seconds = used.lag.seconds(position.height)
    return ProjectionHealth(
        healthy=lag is not None and lag <= LAG_LIMIT and seconds <= LAG_SECONDS,
        chain_id=position.chain_id,
        contract=position.contract,
        height=position.height,
        indexed_height=indexed,
        lag=lag,
        lag_seconds=round(seconds, 1),
        last_event=position.last_event,
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {}}, "description": "Metrics in Prometheus' text format"},
        **responses(401, 403, 429, 503),
    },
)
async def get_metrics(used: Used, _: Reader) -> Response:
    """Return the metrics; what can't be read just now is left out."""
    numbers = used.metrics
    if used.writing is not None:
        numbers.waiting.set(used.writing.submitter.waiting)
        numbers.in_flight.set(used.writing.submitter.in_flight)
        if used.writing.funds.balance is not None:
            numbers.balance.set(used.writing.funds.balance)
    numbers.height.clear()
    numbers.items.clear()
    numbers.block_time.clear()
    with contextlib.suppress(WorkflowError):  # a gap in a series tells that it can't be read
        for status, count in (await used.store.counts()).items():
            numbers.items.labels(status).set(count)
        position, chain = await used.store.position(), await used.node.status()
        numbers.height.labels("projection").set(position.height)
        numbers.height.labels("chain").set(chain.height)
        for of, time in (("projection", position.time), ("chain", chain.block_time)):
            if time is not None:
                numbers.block_time.labels(of).set(datetime.fromisoformat(time).timestamp())
        numbers.height.labels("index").set(await used.node.indexed_height())
    return Response(generate_latest(numbers.registry), media_type=CONTENT_TYPE_LATEST)
