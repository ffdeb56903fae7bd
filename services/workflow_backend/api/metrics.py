"""Metrics for Prometheus: requests, the wallet's queue, heights and items."""

import math
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Metrics:
    """The metrics of one API process.

    `last_request_at` is when the last request came that was not for the stream, by the monotonic
    clock.
    """

    def __init__(self) -> None:
        self.last_request_at = -math.inf
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "xian_workflow_api_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "xian_workflow_api_request_seconds",
            "Time to the first byte of an answer.",
            ["method", "route"],
            registry=self.registry,
        )
        self.items = self._gauge("items", "Projected items.", "status")
        self.height = self._gauge(
            "height", "Block height of the chain, index and projection.", "of"
        )
        self.block_time = self._gauge(
            "block_time_seconds",
            "Time of the chain's newest block and of the last projected event, in Unix seconds.",
            "of",
        )
        self.waiting = self._gauge("submitter_waiting", "Actions that wait for a transaction.")
        self.balance = self._gauge("wallet_balance", "What the wallet has to pay fees with.")
        self.in_flight = self._gauge("submitter_in_flight", "Transactions on their way.")

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(f"xian_workflow_{name}", what, labels, registry=self.registry)


class RequestMetrics:
    """Middleware that counts and times answers by their routes."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and measure it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"].removeprefix(scope.get("root_path", "")) != "/stream":
            self._metrics.last_request_at = time.monotonic()
        began = time.perf_counter()

        async def measured_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"]
                self._metrics.requests.labels(method, route, message["status"]).inc()
                self._metrics.seconds.labels(method, route).observe(time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, measured_send)
