"""What hangs on the application object beside the services."""

import asyncio
from typing import cast

from fastapi import FastAPI


def stopping_of(app: object) -> asyncio.Event:
    """Give the event that tells long polls and streams to end."""
    return cast("asyncio.Event", cast("FastAPI", app).state.stopping)
