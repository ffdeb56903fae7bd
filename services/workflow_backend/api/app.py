"""The application: its routes, errors and middleware put together."""

from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi_offline import FastAPIOffline

from .. import __version__
from . import health, problems, reads, stream, writes
from .admission_control import AdmissionControl
from .backend import Backend
from .bodies import JsonBodies
from .browsers import SameOriginOnly
from .methods import HeadAsGet
from .metrics import RequestMetrics
from .openapi import DETAILS
from .parameters import reject_unknown


def create_app(backend: Backend) -> FastAPI:
    """Return the application on an open backend."""
    # The page at /docs serves its own scripts: there may be no internet.
    app = FastAPIOffline(
        title="Xian workflow backend",
        version=__version__,
        description="Submit items to the workflow contract and follow them.",
        redoc_url=None,  # one page is enough
        responses=problems.responses(421),
        dependencies=[Depends(reject_unknown)],
        servers=[{"url": backend.settings.api_prefix or "/", "description": "This API"}],
        **DETAILS,
    )
    app.state.backend = backend
    # Added from the innermost to the outermost.
    app.add_middleware(JsonBodies)
    app.add_middleware(AdmissionControl, backend=backend)
    if backend.tokens is None:
        settings = backend.settings
        app.add_middleware(SameOriginOnly, hosts=settings.api_hosts, origins=settings.api_origins)
    if backend.settings.api_origins:
        # Outside of what refuses, so that a page can read refusals, too.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=backend.settings.api_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Last-Event-ID"],
            expose_headers=["Retry-After"],
        )
    app.add_middleware(RequestMetrics, metrics=backend.metrics)
    app.add_middleware(HeadAsGet)
    problems.install_handlers(app)
    for routes in (health, reads, writes, stream):
        app.include_router(routes.router)
    problems.describe_schema(app)
    return app
