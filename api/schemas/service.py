"""Participants as they are read."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Latency(_Answer):
    """How long calls take that are answered well, in seconds; of the last hundred calls."""

    median: float
    p95: float


class AddressOfService(_Answer):
    """One address; never with user, password or query."""

    url: str
    state: Literal["well", "silent", "resting", "ejected", "probing"]
    returns_at: str | None = Field(description="When it is used again, where it is ejected or rests.")
    outstanding: int = Field(description="Calls that are under way.")
    limit: int = Field(description="So many may be under way at once.")
    calls: int = Field(
        description="The calls that the figures beside it are about: the last hundred at most."
    )
    success_rate: float | None = Field(
        description="The share that was answered well; a refusal for good is that too."
    )
    latency: Latency | None


class ServiceDocument(_Answer):
    """A participant: a service that a definition names."""

    service: str
    transport: Literal["broker", "http"]
    consumers: int = Field(description="How many consumers its queue has.")
    other_consumers: int = Field(
        description="Over HTTP: consumers that are none of ours. They take commands away; it should be 0."
    )
    waiting: int = Field(description="Commands in its queue that nobody has in hand.")
    held: int = Field(description="Over HTTP: commands in hand that can't be sent just now.")
    outstanding: int
    success_rate: float | None = Field(
        description="Over HTTP only: nobody sees how a broker's participants fare."
    )
    breaker: Literal["closed", "half_open", "open"] | None = Field(
        description="Open where every address is ejected."
    )
    addresses: list[AddressOfService]
