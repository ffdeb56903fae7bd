"""A typed client of the workflow backend: submit items, wait for them, follow their events."""

from ._async_client import AsyncClient
from ._client import Client
from .errors import ApiError, ApiUnavailable, ClientError, WaitTimeout
from .models import StreamedEvent

__all__ = [
    "ApiError",
    "ApiUnavailable",
    "AsyncClient",
    "Client",
    "ClientError",
    "StreamedEvent",
    "WaitTimeout",
]
