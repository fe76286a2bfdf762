"""An independent judge: reads the store and the participants' ledgers, and says which promise was broken.

It knows the documents by the contract and works out the order of undoing from the written definitions by
itself. Only `fold` is the product's own: that the log amounts to the projection is a claim about this very
function. The numbers I1 to I14 are those of the invariants that the simulation checks as well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aio_pika
from pymongo import MongoClient

from saga.process.codec import decode_transitions
from saga.process.evolve import fold
from saga.process.snapshot import to_snapshot
from tests.support.way_back import Entry, Graph, WayBack, read_graph

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from aio_pika.abc import AbstractConnection

    from tests.support.deployment import Deployment
    from tests.support.ledger import Ledger

_ENDS = frozenset({"completed", "compensated", "failed"})
_OPEN = frozenset({"started", "compensating"})


@dataclass(slots=True)
class Judge:
    """Hold the evidence; `verdict` gives every broken promise as a sentence."""

    graphs: Mapping[str, Graph]
    logs: Mapping[str, list[dict[str, Any]]]
    projections: Mapping[str, dict[str, Any]]
    ledger: Ledger
    problems: list[str] = field(default_factory=list)

    def verdict(self, expected: Mapping[str, str]) -> list[str]:
        """Check everything; `expected` says in which status each process must be now, or in one of `a|b`."""
        self._check_starts(expected)
        self._check_ledger()
        for process_id, documents in self.logs.items():
            self._check_log(process_id, documents)
        return self.problems

    def _complain(self, invariant: str, process_id: str, problem: str) -> None:
        self.problems.append(f"{invariant} {process_id}: {problem}")

    def _check_starts(self, expected: Mapping[str, str]) -> None:
        for process_id, status in expected.items():
            projection = self.projections.get(process_id)
            if process_id not in self.logs:
                self._complain("I14", process_id, "was started and is in no log")
            elif projection is None:
                self._complain("I7", process_id, "has a log and no projection")
            elif projection["status"] not in status.split("|"):
                story = _story(self.logs[process_id])
                self._complain("I13", process_id, f"is {projection['status']}, expected {status}:\n{story}")
        for process_id in {*self.logs, *self.projections} - set(expected):
            self._complain("I14", process_id, "exists and nobody started it")

    def _check_ledger(self) -> None:
        stored = self._stored_commands()
        keys: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
        users: defaultdict[str, set[tuple[str, str, str]]] = defaultdict(set)
        for one in self.ledger.arrivals:
            place = (one.process_id, one.step, one.kind)
            keys[place].add(one.idempotency_key)
            users[one.idempotency_key].add(place)
            if stored.get(one.command_id) != (one.routing_key, one.body):
                self._complain("I3", one.process_id, f"{one.command_id} is not what is stored, to the byte")
            if one.properties["message_id"] != one.command_id:
                self._complain("I3", one.process_id, f"{one.command_id} came with another message id")
        for place, found in keys.items():
            if len(found) != 1:
                self._complain("I6", place[0], f"{place[1:]} has the keys {sorted(found)}")
        for key, places in users.items():
            if len(places) != 1:
                self._complain("I6", next(iter(places))[0], f"{key} serves {sorted(places)}")

    def _stored_commands(self) -> dict[str, tuple[str, bytes]]:
        stored: dict[str, tuple[str, bytes]] = {}
        for process_id, documents in self.logs.items():
            for document in documents:
                for command in document["commands"]:
                    if command["id"] in stored:
                        self._complain("I3", process_id, f"{command['id']} stands in two transitions")
                    stored[command["id"]] = (command["key"], command["body"].encode())
        return stored

    def _check_log(self, process_id: str, documents: Sequence[dict[str, Any]]) -> None:
        entries = list(_entries(documents))
        self._check_density(process_id, documents, entries)
        self._check_fold(process_id, documents)
        self._check_end(process_id, entries)
        self._check_outcomes(process_id, entries)
        graph = self.graphs[entries[0].event["process_type"]]
        self._check_undo(process_id, graph, entries)
        self._check_undo_in_ledger(process_id, graph)

    def _check_density(
        self, process_id: str, documents: Sequence[dict[str, Any]], entries: Sequence[Entry]
    ) -> None:
        number = 1
        for document in documents:
            if document["n"] != number or document["_id"] != f"{process_id}:{number:08d}":
                self._complain("I1", process_id, f"expected event {number}, found {document['_id']}")
            number = document["n"] + len(document["events"])
        if entries[0].type != "accepted" or any(entry.type == "accepted" for entry in entries[1:]):
            self._complain("I1", process_id, "accepted is not the first event alone")

    def _check_fold(self, process_id: str, documents: Sequence[dict[str, Any]]) -> None:
        state = fold([one for document in documents for one in decode_transitions(document)])
        projection = self.projections.get(process_id, {})
        assert state is not None
        facts = {
            "version": state.version,
            "status": str(state.status),
            "process_type": documents[0]["events"][0]["process_type"],
            "state": to_snapshot(state),
            "ended_at": state.ended_at,
        }
        for name, fact in facts.items():
            if projection.get(name) != fact:
                self._complain("I7", process_id, f"{name} is {projection.get(name)!r}, the log says {fact!r}")

    def _check_end(self, process_id: str, entries: Sequence[Entry]) -> None:
        ended = False
        reopening = False
        for entry in entries:
            if not ended:
                ended = entry.type in _ENDS
            elif entry.type == "step_completed":
                reopening = True
            elif entry.type == "turned_back" and reopening:
                ended = reopening = False
            elif entry.type != "observed":
                self._complain("I1", process_id, f"{entry.type} stands at {entry.number}, after the end")

    def _check_outcomes(self, process_id: str, entries: Sequence[Entry]) -> None:
        completed = Counter(entry.step for entry in entries if entry.type == "step_completed")
        for step, count in completed.items():
            if count > 1:
                self._complain("I5", process_id, f"{step} completed {count} times")
        undone: Counter[str] = Counter()
        for entry in entries:
            if entry.type == "compensation_completed":
                undone[entry.step] += 1
                if undone[entry.step] > 1:
                    self._complain("I5", process_id, f"{entry.step} was undone twice")
            elif entry.type == "compensation_planned":
                for step in entry.event["steps"]:
                    undone[step] = 0  # planned anew, because its first undo had found nothing

    def _check_undo(self, process_id: str, graph: Graph, entries: Sequence[Entry]) -> None:
        way_back = WayBack(graph)
        for entry in entries:
            way_back.read(entry)
        for invariant, problem in way_back.problems:
            self._complain(invariant, process_id, problem)

    def _check_undo_in_ledger(self, process_id: str, graph: Graph) -> None:
        """Check the order that the participants saw, by the first arrivals."""
        order = self.ledger.order(process_id, "compensation")
        plans = sum(entry.type == "compensation_planned" for entry in _entries(self.logs[process_id]))
        if plans > 1:
            return  # a late completion joined the plan, whatever was undone by then
        for position, step in enumerate(order):
            for later in order[position + 1 :]:
                if graph.follows(later, step):
                    self._complain("I8", process_id, f"the undo of {step} arrived before that of {later}")


async def judge(
    deployment: Deployment, ledger: Ledger, expected: Mapping[str, str], *, dead_letters: int = 0
) -> None:
    """Stop the servers, then fail with every broken promise; nothing may be left in any queue."""
    deployment.stop()
    logs, projections = _read_store(deployment.mongodb_url, deployment.database)
    graphs = {str(one["process_type"]): read_graph(one) for one in deployment.definitions}
    problems = Judge(graphs, logs, projections, ledger).verdict(expected)
    services = {step["service"] for one in deployment.definitions for step in one["steps"]}
    left = await queue_lengths(deployment.amqp_url, deployment.prefix, services)
    for name, count in left.items():
        allowed = dead_letters if name.endswith(".dead-letter") else 0
        if count != allowed:
            problems.append(f"I13 {name} holds {count} messages, expected {allowed}")
    assert not problems, f"{len(problems)} broken promises:\n" + "\n".join(problems[:40])


async def queue_lengths(url: str, prefix: str, services: Iterable[str]) -> dict[str, int]:
    """Count the messages that are ready in each queue of a deployment."""
    names = [f"{prefix}.coordinator", f"{prefix}.dead-letter", *(f"{prefix}.step.{one}" for one in services)]
    lengths: dict[str, int] = {}
    connection = await aio_pika.connect(url)
    async with connection:
        names += await _partitions(connection, prefix)
        channel = await connection.channel()
        for name in names:
            queue = await channel.declare_queue(name, passive=True)
            lengths[name] = queue.declaration_result.message_count or 0
    return lengths


async def _partitions(connection: AbstractConnection, prefix: str) -> list[str]:
    """Name the queues of the coordinators' partitions: they are numbered without a gap."""
    found: list[str] = []
    while True:
        name = f"{prefix}.coordinator.{len(found) + 1}"
        channel = await connection.channel()
        try:
            await channel.declare_queue(name, passive=True)
        except aio_pika.exceptions.ChannelNotFoundEntity:
            return found
        await channel.close()
        found.append(name)


def _read_store(url: str, database: str) -> tuple[dict[str, list[dict[str, Any]]], dict[str, dict[str, Any]]]:
    client: MongoClient[dict[str, Any]] = MongoClient(url, timeoutMS=30_000)
    with client:
        logs: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for document in client[database]["events"].find().sort("_id", 1):
            logs[document["p"]].append(document)
        projections = {document["_id"]: document for document in client[database]["processes"].find()}
    return dict(logs), projections


def open_processes(url: str, database: str) -> list[tuple[str, str]]:
    """Name the processes that are on their way, with their status."""
    client: MongoClient[dict[str, Any]] = MongoClient(url, timeoutMS=30_000)
    with client:
        found = client[database]["processes"].find({"status": {"$in": sorted(_OPEN)}}, {"status": 1})
        return [(str(document["_id"]), str(document["status"])) for document in found]


def _story(documents: Iterable[dict[str, Any]]) -> str:
    """Tell a log in few lines: what caused each transition, when, and its events."""
    return "\n".join(
        f"    {document['at']} {document['cause']['identity']} by {document['by']}: "
        + ", ".join(
            " ".join(
                str(event[name]) for name in ("type", "step", "attempt", "error", "reason") if event.get(name)
            )
            for event in document["events"]
        )
        for document in documents
    )


def _entries(documents: Iterable[dict[str, Any]]) -> Iterator[Entry]:
    for document in documents:
        for offset, event in enumerate(document["events"]):
            yield Entry(document["n"] + offset, event["type"], event)
