"""Send one request again and again over connections that are kept, and time the answers.

Reads one `HttpLoad` as JSON from its input and prints what it saw as JSON. It writes and reads bytes itself: a
client library would be the bottleneck.
"""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import uvloop

from benchmarks.figures import percentile

_ACCEPTED = b" 202 "


@dataclass(frozen=True, slots=True)
class HttpLoad:
    """Say what to send, and how fast.

    Without `per_second` each connection sends as soon as it has its answer. With it the requests are due at
    even distances, and an answer's time counts from when its request was due: a queue before the server is
    part of it.
    """

    port: int
    path: str
    body: str
    connections: int
    seconds: float
    per_second: float | None = None


@dataclass
class Run:
    """Hold what all connections share."""

    load: HttpLoad
    due: Iterator[int] = field(default_factory=itertools.count)
    began: float = 0.0
    latencies: list[float] = field(default_factory=list)

    def request(self) -> bytes:
        """Write the request."""
        body = self.load.body.encode()
        head = (
            f"POST {self.load.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.load.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    async def connection(self) -> None:
        """Send until the time is over."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.load.port)
        request = self.request()
        try:
            while (moment := await self._next()) is not None:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(_length(head))
                if _ACCEPTED not in head.partition(b"\r\n")[0]:
                    sys.exit(f"{self.load.path} answered {head.decode()}{body.decode()}")
                self.latencies.append(time.perf_counter() - moment)
        finally:
            writer.close()

    async def _next(self) -> float | None:
        """Give when the next request is due, at that time; None when there is none."""
        now = time.perf_counter()
        if self.load.per_second is None:
            return now if now < self.began + self.load.seconds else None
        after = next(self.due) / self.load.per_second
        if after >= self.load.seconds:
            return None
        moment = self.began + after
        if moment > now:
            await asyncio.sleep(moment - now)
        return moment


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    sys.exit(f"an answer has no length: {head.decode()}")


async def main(load: HttpLoad) -> None:
    """Run the load; print the rate and the latencies as JSON."""
    run = Run(load, began=time.perf_counter())
    async with asyncio.TaskGroup() as tasks:
        for _ in range(load.connections):
            tasks.create_task(run.connection())
    took = time.perf_counter() - run.began
    run.latencies.sort()
    result = {
        "per_second": len(run.latencies) / took,
        "median_ms": percentile(run.latencies, 0.5) * 1000,
        "p99_ms": percentile(run.latencies, 0.99) * 1000,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    uvloop.run(main(HttpLoad(**json.loads(sys.stdin.read()))))
