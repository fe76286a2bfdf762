"""The HTTP application: routes over the use cases, strict at the door, every refusal a problem document."""

import asyncio

from fastapi import Depends, FastAPI

from api import failures
from api.admission import Admission
from api.query import refuse_unknown_query
from api.routes import (
    contract,
    deliveries,
    drawing,
    events,
    operate,
    operations,
    probes,
    process_types,
    processes,
    replay,
    rerun,
    start,
    steps,
    undo_preview,
)
from api.routes import (
    services as service_routes,
)
from api.services import Services
from api.version import VERSION


def create_app(services: Services, *, with_api: bool = True) -> FastAPI:
    """Make the application; without the API it only tells how the server is.

    It holds no connection of its own and needs no start or stop.
    """
    app = FastAPI(
        title="Batuta",
        summary="An event-driven saga orchestrator",
        version=VERSION,
        openapi_url="/openapi.json" if with_api else None,
        # Their pages load scripts from other sites.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(refuse_unknown_query)],
    )
    app.state.services = services
    app.state.stopping = asyncio.Event()
    app.state.admission = Admission()
    failures.install(app)
    app.include_router(probes.router)
    if with_api:
        # In this order: /process/counts stands before /process/{process_id}.
        for module in (
            start,
            operate,
            rerun,
            steps,
            processes,
            events,
            drawing,
            deliveries,
            replay,
            undo_preview,
            process_types,
            service_routes,
            operations,
            contract,
        ):
            app.include_router(module.router)
    return app
