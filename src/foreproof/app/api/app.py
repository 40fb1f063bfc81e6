"""The application: parts mounted under `/api/v1`, behind the gate that knows who calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib import metadata

from fastapi import FastAPI

from foreproof.adapters.service.migrate import open_store
from foreproof.app.api import logs, problem
from foreproof.app.api.caller import Service
from foreproof.app.api.gate import Gate
from foreproof.app.api.operations import Operations
from foreproof.app.api.published import Shelves
from foreproof.app.api.routes import health, prometheus, routers
from foreproof.app.home import Home

PREFIX = "/api/v1"


def create_app(home: Home, *, only: Iterable[str] = (), local: bool = True) -> FastAPI:
    """The API of a home, to be run or to be mounted in an application of the user's own.

    only: some parts instead of all. local: whether only this machine can reach it, so that a home without keys is open.
    """
    store, shelves = open_store(home.settings.store), Shelves()
    operations = Operations(home, store, shelves, local=local)
    service = Service(home, store, shelves, operations)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        operations.start()
        yield
        operations.stop()
        service.archive.close()
        store.close()
        logs.say("ended")

    app = FastAPI(
        title="Foreproof",
        version=metadata.version("foreproof"),
        summary="Predictions and decisions that come with proof.",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=f"{PREFIX}/docs",
        redoc_url=None,
        lifespan=lifespan,
        responses=problem.PROBLEMS,
    )
    app.state.service = service
    problem.install(app)
    for router in routers(only):
        app.include_router(router, prefix=PREFIX)
    # Where supervisors and scrapers look for it.
    app.include_router(health.router, include_in_schema=False)
    app.include_router(prometheus.router, include_in_schema=False)
    app.add_middleware(Gate, service=service)
    return app


__all__ = ["PREFIX", "create_app"]
