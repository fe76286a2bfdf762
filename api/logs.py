"""Logs: one line per event on stderr, JSON for machines, text for people."""

import logging
import sys

import structlog

from api.settings import Settings


def configure_logs(settings: Settings) -> None:
    """Route structlog and the standard logging through one formatter; `auto` is JSON unless at a terminal."""
    is_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if is_json else structlog.dev.ConsoleRenderer()
    )
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    # What the drivers say about each lost connection is said by the adapters once, in our words.
    # httpx would write whole addresses, the secrets in their queries too.
    for noisy in (
        "aio_pika",
        "aiormq",
        "pymongo",
        "faststream",
        "httpx",
        "httpcore",
        "uvicorn.error",
        "uvicorn.access",
    ):
        logging.getLogger(noisy).setLevel(logging.ERROR)
