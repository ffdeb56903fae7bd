"""The application: its routes, errors and limits put together."""

from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi_offline import FastAPIOffline

from .. import __version__
from . import health, problems, reads, stream, writes
from .admission import Admission
from .backend import Backend
from .bodies import JsonBodies
from .browsers import OwnPagesOnly
from .description import DETAILS
from .methods import HeadAsGet
from .metrics import Measured
from .parameters import check_names


def create_app(backend: Backend) -> FastAPI:
    """Return the application on an open backend."""
    # The page of the description brings its scripts along: there may be no internet.
    app = FastAPIOffline(
        title="Xian workflow backend",
        version=__version__,
        description="Submit items to the workflow contract and read what became of them.",
        redoc_url=None,  # one page is enough
        responses=problems.responses(421),
        dependencies=[Depends(check_names)],
        servers=[{"url": backend.settings.api_prefix or "/", "description": "This API"}],
        **DETAILS,
    )
    app.state.backend = backend
    # From the innermost to the outermost: what is read last is decided last.
    app.add_middleware(JsonBodies)
    app.add_middleware(Admission, backend=backend)
    if backend.tokens is None:
        settings = backend.settings
        app.add_middleware(OwnPagesOnly, hosts=settings.api_hosts, origins=settings.api_origins)
    if backend.settings.api_origins:
        # The outermost but one: a refusal, too, is to be read by the page that asked.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=backend.settings.api_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Last-Event-ID"],
            expose_headers=["Retry-After"],
        )
    app.add_middleware(Measured, metrics=backend.metrics)
    app.add_middleware(HeadAsGet)
    problems.install(app)
    for routes in (health, reads, writes, stream):
        app.include_router(routes.router)
    problems.describe(app)
    return app
