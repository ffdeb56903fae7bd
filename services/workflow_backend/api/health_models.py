"""Models of the answers about health."""

from typing import Literal

from pydantic import BaseModel


class ProjectionHealth(BaseModel):
    """How far the projection is behind the index; `lag` counts blocks.

    `lag_seconds` is how long ago the oldest block arrived that the projection does not have.
    """

    healthy: bool
    network: str
    workflow_contract: str
    height: int
    indexed_height: int | None
    lag: int | None
    lag_seconds: float
    item_count: int
    activity_count: int
    last_event_id: str | None


class ProjectionState(BaseModel):
    """The projection's contents; the counts are null if the API needs tokens."""

    item_count: int | None
    activity_count: int | None
    last_event_id: str | None


class Health(BaseModel):
    """Whether chain, index and projection are available and belong together.

    `network` is the chain's id. `requester` is the account of the API's wallet, null if it has none
    and only reads. `warnings` name what will fail before long, such as a wallet that runs low.
    """

    status: Literal["ok", "degraded"]
    network: str
    workflow_contract: str
    requester: str | None
    height: int | None
    catching_up: bool | None
    indexed_height: int | None
    projected_height: int | None
    projection: ProjectionState | None
    problems: list[str]
    warnings: list[str]


class Live(BaseModel):
    """The process answers requests."""

    status: Literal["ok"] = "ok"
