"""The application: its routes, errors and limits put together."""

from fastapi import FastAPI

from .. import __version__
from . import problems, reads, writes
from .backend import Backend
from .limits import BodyLimit


def create_app(backend: Backend) -> FastAPI:
    """Return the application on an open backend."""
    app = FastAPI(
        title="Xian workflow backend",
        version=__version__,
        description="Submit items to the workflow contract and read what became of them.",
    )
    app.state.backend = backend
    app.add_middleware(BodyLimit)
    problems.install(app)
    app.include_router(reads.router)
    app.include_router(writes.router)
    return app
