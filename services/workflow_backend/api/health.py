"""Routes that report health: for people, load balancers and Prometheus."""

import contextlib
from datetime import datetime
from functools import partial

from fastapi import APIRouter, HTTPException, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ..chain.node import LAG_LIMIT
from ..errors import IndexUnavailable, NodeUnavailable, TokensUnavailable, WorkflowError
from ..store.base import ProjectionProgress
from .authorization import Reader
from .backend import Backend, BackendDep
from .health_models import Health, Live, ProjectionHealth, ProjectionState
from .openapi import OPEN
from .problems import public_message, responses

router = APIRouter(tags=["health"])

LAG_SECONDS = 30.0
"""Seconds that the projection may be behind and still be healthy."""


@router.get("/health/live", responses=responses(), openapi_extra=OPEN)
async def check_live() -> Live:
    """Answer as long as the process can; nothing else is checked."""
    return Live()


@router.get("/health/ready", responses=responses(429, 503), openapi_extra=OPEN)
async def check_ready(backend: BackendDep) -> Live:
    """Answer 200 while this API can take submissions and say what became of them, 503 otherwise."""
    problems = (await backend.health.get(partial(_health, backend))).problems
    if problems:
        raise HTTPException(503, "; ".join(problems))
    return Live()


@router.get("/health", responses=responses(429), openapi_extra=OPEN)
async def get_health(backend: BackendDep) -> Health:
    """Report whether this API can do its work: degraded if a part that it needs is missing."""
    return await backend.health.get(partial(_health, backend))


async def _health(backend: Backend) -> Health:
    problems: list[str] = []
    if backend.tokens is not None:
        try:
            backend.tokens.reload()
        except TokensUnavailable as error:
            problems.append(public_message(error))
    heights: dict[str, int | None] = dict.fromkeys(("height", "indexed_height", "projected_height"))
    catching_up = projection = None
    try:
        chain = await backend.node.require_chain(backend.settings.chain_id)
        heights["height"], catching_up = chain.height, chain.catching_up
        heights["indexed_height"] = await backend.node.indexed_height()
    except WorkflowError as error:
        problems.append(public_message(error))
    try:
        progress = await backend.store.progress()
        heights["projected_height"] = progress.height
        projection = await _projection_state(backend, progress)
        behind = backend.lag.seconds(progress.height)
        if behind > LAG_SECONDS:
            problems.append(
                f"the projection has been behind the chain for {behind:.0f} s: see the projector"
            )
    except WorkflowError as error:
        problems.append(public_message(error))
    write_side = backend.write_side
    warning = write_side.balance_monitor.warning if write_side else ""
    return Health(
        status="degraded" if problems else "ok",
        network=backend.settings.chain_id,
        workflow_contract=backend.settings.contract,
        requester=write_side.submitter.address if write_side else None,
        problems=problems,
        warnings=[warning] if warning else [],
        catching_up=catching_up,
        projection=projection,
        **heights,
    )


async def _projection_state(backend: Backend, progress: ProjectionProgress) -> ProjectionState:
    """Return what the projection holds; the counts are for those who need no token here."""
    if backend.tokens is not None:
        return ProjectionState(
            item_count=None, activity_count=None, last_event_id=progress.last_event_id
        )
    return ProjectionState(
        item_count=sum((await backend.store.counts()).values()),
        activity_count=await backend.store.event_count(),
        last_event_id=progress.last_event_id,
    )


@router.get("/projection/health", responses=responses(401, 403, 429, 503))
async def get_projection_health(backend: BackendDep, _: Reader) -> ProjectionHealth:
    """Report how far the projection is behind the index, and for how long."""
    progress = await backend.store.progress()
    indexed: int | None = None
    with contextlib.suppress(NodeUnavailable, IndexUnavailable):  # the answer has null then
        indexed = await backend.node.indexed_height()
    lag = None if indexed is None else max(0, indexed - progress.height)
    seconds = backend.lag.seconds(progress.height)
    return ProjectionHealth(
        healthy=lag is not None and lag <= LAG_LIMIT and seconds <= LAG_SECONDS,
        network=progress.chain_id,
        workflow_contract=progress.contract,
        height=progress.height,
        indexed_height=indexed,
        lag=lag,
        lag_seconds=round(seconds, 1),
        item_count=sum((await backend.store.counts()).values()),
        activity_count=await backend.store.event_count(),
        last_event_id=progress.last_event_id,
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {}}, "description": "Metrics in Prometheus' text format"},
        **responses(401, 403, 429, 503),
    },
)
async def get_metrics(backend: BackendDep, _: Reader) -> Response:
    """Return the metrics, without those that can't be read now."""
    metrics = backend.metrics
    if backend.write_side is not None:
        metrics.waiting.set(backend.write_side.submitter.waiting)
        metrics.in_flight.set(backend.write_side.submitter.in_flight)
        if backend.write_side.balance_monitor.balance is not None:
            metrics.balance.set(backend.write_side.balance_monitor.balance)
    metrics.height.clear()
    metrics.items.clear()
    metrics.block_time.clear()
    with contextlib.suppress(WorkflowError):  # a gap in the series shows it
        for status, count in (await backend.store.counts()).items():
            metrics.items.labels(status).set(count)
        progress, chain = await backend.store.progress(), await backend.node.status()
        metrics.height.labels("projection").set(progress.height)
        metrics.height.labels("chain").set(chain.height)
        for of, time in (("projection", progress.time), ("chain", chain.block_time)):
            if time is not None:
                metrics.block_time.labels(of).set(datetime.fromisoformat(time).timestamp())
        metrics.height.labels("index").set(await backend.node.indexed_height())
    return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)
