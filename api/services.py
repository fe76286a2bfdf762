"""What the routes work with; the composition root fills it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from api.settings import Settings
from saga.definition.catalog import Catalog
from saga.replay.past import Past
from saga.replay.replaying import ReplayProcesses
from saga.usecases.deliveries import ProcessDeliveries
from saga.usecases.operate import OperateProcesses
from saga.usecases.read import ReadProcesses
from saga.usecases.rerun import RerunProcess
from saga.usecases.services import ReadServices
from saga.usecases.start import StartProcess


@dataclass(frozen=True, slots=True)
class Services:
    """Hold the use cases and what else the HTTP side needs.

    `readiness` names what is missing before the server can work; nothing means that it is ready.
    """

    start: StartProcess
    rerun: RerunProcess
    read: ReadProcesses
    operate: OperateProcesses
    deliveries: ProcessDeliveries
    participants: ReadServices
    past: Past
    replay: ReplayProcesses
    catalog: Catalog
    readiness: Callable[[], Awaitable[tuple[str, ...]]]
    settings: Settings
    metrics: CollectorRegistry
