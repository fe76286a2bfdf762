"""What a seed stands for: which faults are on and how often (each seed draws its own), and how much happens."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Per call of a port, or per message.
PER_CALL = (
    "append_answer_lost",  # applied, and the writer hears OutcomeUnknown
    "append_lost",  # not applied, and the writer hears OutcomeUnknown
    "append_late",  # the writer hears OutcomeUnknown, and it is applied seconds later
    "append_refused",  # the store is away: StoreUnavailable
    "read_refused",
    "save_refused",
    "save_late",  # the writer hears StoreUnavailable, and it is applied seconds later
    "lock_refused",  # the locks' store is away
    "lock_answer_lost",  # a lock was taken or released, and the caller hears StoreUnavailable
    "lock_late",  # the caller hears StoreUnavailable, and it happens seconds later
    "publish_lost",  # BusUnavailable, and it never arrives
    "publish_unconfirmed",  # BusUnavailable, and it arrives all the same
    "publish_late",  # BusUnavailable, and it arrives seconds later
    "slow",  # a call takes up to some seconds
    "duplicate",  # a message arrives twice
    "delay",  # a message is delivered up to some seconds later
    "reorder",  # any message of a queue may be the next
    "crash_at_call",  # a server dies with a call: before it, or between the effect and the answer
)
# Per second.
PER_SECOND = (
    "crash",  # a coordinator vanishes with all it knows; a new one comes some time later
    "restart",  # a coordinator is asked to stop, and does so in its grace
    "freeze",  # a coordinator stands still for up to 20 s, and goes on as if nothing had been
    "disconnect",  # a coordinator loses its connection to the broker
    "outage",  # the broker is away for up to 8 s
    "queue_gone",  # a service's queue is deleted with its messages, and declared again later
    "coordinators_queue_gone",  # their own queue is deleted with its messages; somebody publishes again later
    "clock_unsure",  # a coordinator can't tell the time for up to 3 s
    "clock_skew",  # a coordinator's clock is off by up to two seconds; above one, it doesn't tell the time
    "operator_cancel",
    "operator_pause",  # and resumes it some seconds later
    "operator_compensate",  # rather what is completed
    "operator_mends",  # retries, skips, resolves or gives up what is suspended
)
# Per command that reaches a participant.
PER_COMMAND = (
    "retryable",
    "refusal",
    "unknown",  # failed, and nobody can tell whether anything happened
    "never",  # it does its work, or not, and never answers
    "late",
    "twice",
    "contradict",  # completed and failed, in any order
    "progress",
)
# Per signal that is awaited.
PER_SIGNAL = ("signal_refused", "signal_never", "signal_late", "signal_twice")
# Per process, and per request of an operator.
PER_START = ("repeated_start", "conflicting_start", "poison", "repeated_request")
NAMES = (*PER_CALL, *PER_SECOND, *PER_COMMAND, *PER_SIGNAL, *PER_START)

# The events that no run meets: nobody reruns or moves a process here. What may happen to one that was is drawn
# in the properties of the machine, and tested on stored processes.
NOT_SIMULATED = frozenset({"step_kept", "operator_rerun", "migrated", "migration_rejected"})

_RATES = (0.02, 0.06, 0.15)
_RATES_OF = {
    **dict.fromkeys((*PER_COMMAND, *PER_SIGNAL), (0.1, 0.2, 0.4)),
    **dict.fromkeys(PER_SECOND, (0.03, 0.08, 0.2)),
    **dict.fromkeys(PER_START, (0.2, 0.5)),
    "coordinators_queue_gone": (0.03, 0.08),
    "operator_mends": (0.3, 0.8),
    "crash_at_call": (0.003, 0.01, 0.03),
    "slow": (0.02, 0.1),
}
_IS_ON = 0.35


@dataclass(frozen=True, slots=True)
class Plan:
    """Hold one run: the seed of every choice, the rates of the faults that are on, and the sizes."""

    seed: int
    rates: Mapping[str, float]
    processes: int
    coordinators: int
    faults_for_s: float

    @classmethod
    def of(cls, seed: int) -> Plan:
        """Draw what a seed stands for."""
        rng = random.Random(f"plan {seed}")
        rates = {name: rng.choice(_RATES_OF.get(name, _RATES)) for name in NAMES if rng.random() < _IS_ON}
        return cls(seed, rates, rng.randint(1, 4), rng.randint(1, 3), rng.uniform(4, 16))

    def rng(self, purpose: str) -> random.Random:
        """Give the chance for one purpose, so that less of one thing leaves the others as they were."""
        return random.Random(f"{purpose} {self.seed}")

    def smaller(self) -> Iterable[Plan]:
        """Give plans with one thing less."""
        if self.processes > 1:
            yield replace(self, processes=1)
            yield replace(self, processes=self.processes - 1)
        if self.coordinators > 1:
            yield replace(self, coordinators=1)
        for name in self.rates:
            yield replace(self, rates={key: rate for key, rate in self.rates.items() if key != name})

    @property
    def command(self) -> str:
        """Say how to run exactly this again."""
        drawn = Plan.of(self.seed)
        words = [f"SEED={self.seed}"]
        if self.processes != drawn.processes:
            words.append(f"PROCESSES={self.processes}")
        if self.coordinators != drawn.coordinators:
            words.append(f"COORDINATORS={self.coordinators}")
        if self.rates != drawn.rates:
            words.append(f"FAULTS={','.join(self.rates) or 'none'}")
        return " ".join([*words, "make simulate"])

    def narrowed(self, *, faults: str | None, processes: str | None, coordinators: str | None) -> Plan:
        """Take what a printed command says beside the seed."""
        kept = None if faults is None else set(faults.split(","))
        return replace(
            self,
            rates={name: rate for name, rate in self.rates.items() if kept is None or name in kept},
            processes=self.processes if processes is None else int(processes),
            coordinators=self.coordinators if coordinators is None else int(coordinators),
        )
