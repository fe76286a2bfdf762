"""Draw a saga from a seed: its definitions with all words of the language, and what everybody does about it.

The same seed draws the same saga. The script says what a participant does with the n-th attempt of each effort:
`<type>/<step>[/<index>]/<kind>` has a list of words, of which the last one holds from there on. The words are
those of `random_participants`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

SERVICES = ("red", "green", "blue", "white")
ITEMS_MAX = 8
# What a participant that answers needs at most on a busy machine, and what a silent one is given.
PATIENT_S = 20.0
HASTY_S = 1.0
_LATE_S = 1.6
# Later than the last time-out of three attempts: what it was for is undone by then.
_TOO_LATE_S = 4.2

Definition = dict[str, Any]
Step = dict[str, Any]


@dataclass(slots=True)
class RandomSaga:
    """One saga: the first definition is the one that is started, another that of its children."""

    seed: int
    definitions: list[Definition]
    parameters: dict[str, Any]
    script: dict[str, list[str]]
    cancel_after: int | None

    @property
    def run(self) -> str:
        """Give the word by which its processes are known, children too."""
        return str(self.parameters["run"])


def output_of(process_type: str, step: str, index: int | None) -> dict[str, Any]:
    """Give what an effect gives: always the same, whichever attempt brings it about."""
    chance = Random(f"{process_type}/{step}/{index}")
    return {
        "by": step,
        "n": chance.randrange(10),
        "value": chance.choice(["x", "y", "ü", ""]),
        "list": [chance.randrange(100) for _ in range(chance.randrange(4))],
    }


def effort_name(process_type: str, step: str, index: int | None, kind: str) -> str:
    """Name an effort in the script."""
    return "/".join([process_type, step, *([] if index is None else [str(index)]), kind])


def draw(seed: int) -> RandomSaga:
    """Draw a saga."""
    chance = Random(seed)
    parameters: dict[str, Any] = {
        "run": f"r{seed}",
        "via": "",
        "n": chance.randrange(10),
        "flag_1": chance.random() < 0.5,
        "flag_2": chance.random() < 0.8,
        "list_1": [chance.randrange(9) for _ in range(chance.randrange(ITEMS_MAX + 1))],
        "list_2": [{"k": chance.randrange(9)} for _ in range(chance.randrange(4))],
    }
    roughness = chance.choice([0.0, 0.04, 0.12, 0.3])
    script: dict[str, list[str]] = {}
    child = _Drawing(chance, f"s{seed}_child", None, roughness, script).definition()
    has_pivot = any(step.get("pivot") for step in child["steps"])
    parent = _Drawing(chance, f"s{seed}", (child["process_type"], has_pivot), roughness, script).definition()
    uses_child = any("process" in step for step in parent["steps"])
    cancel_after = chance.randrange(1, 8) if chance.random() < 0.12 else None
    return RandomSaga(seed, [parent, child] if uses_child else [parent], parameters, script, cancel_after)


def after_of(definition: Definition) -> dict[str, list[str]]:
    """Give what each step waits for: its `after`, or the step above it."""
    found: dict[str, list[str]] = {}
    above: list[str] = []
    for step in definition["steps"]:
        found[step["name"]] = list(dict.fromkeys(step.get("after", above)))
        above = [step["name"]]
    return found


def ancestors_of(after: dict[str, list[str]], name: str) -> set[str]:
    """Give all that comes before a step."""
    found: set[str] = set()
    waiting = list(after[name])
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting.extend(after[other])
    return found


def sure_before(definition: Definition, name: str) -> set[str]:
    """Give the ancestors that completed for sure when a step starts."""
    after = after_of(definition)
    steps = {step["name"]: step for step in definition["steps"]}

    def may_be_skipped(one: str) -> bool:
        is_join = steps[one].get("join", "all") != "all"
        return "when" in steps[one] or (is_join and all(may_be_skipped(other) for other in after[one]))

    def sure(one: str) -> set[str]:
        ways = [sure(other) | (set() if may_be_skipped(other) else {other}) for other in after[one]]
        if not ways:
            return set()
        return set.union(*ways) if steps[one].get("join", "all") == "all" else set.intersection(*ways)

    return sure(name)


@dataclass(slots=True)
class _Drawing:
    """Draw one definition and its part of the script."""

    chance: Random
    process_type: str
    child: tuple[str, bool] | None
    roughness: float
    script: dict[str, list[str]]
    steps: list[Step] = field(default_factory=list)
    _early: set[str] = field(default_factory=set)

    def definition(self) -> Definition:
        chance = self.chance
        count = chance.randint(2, 9) if self.child else chance.randint(1, 4)
        pivot = chance.randrange(count) if chance.random() < 0.4 else None
        for number in range(count):
            self.steps.append(self._step(number, is_pivot=number == pivot))
        drawn: Definition = {
            "process_type": self.process_type,
            "timeout": PATIENT_S,
            "retry": {
                "attempts": chance.randint(1, 3), "backoff": chance.choice([0, 0.05, 0.3]), "factor": 2,
                "max_backoff": 0.4, "jitter": chance.choice([0, 0.2]),
            },
            "steps": self.steps,
        }  # fmt: skip
        if chance.random() < 0.3:
            drawn["deadline"] = 3_600
        if chance.random() < 0.6:
            drawn["result"] = {
                "n": "parameters.n",
                "last": f"results.{self.steps[-1]['name']} || 'nothing'",
                "first": f"results.{self.steps[0]['name']} || 'nothing'",
            }
        if chance.random() < 0.3 and all("after" in step for step in self.steps):
            chance.shuffle(self.steps)
        return drawn

    def _step(self, number: int, *, is_pivot: bool) -> Step:
        chance = self.chance
        step: Step = {"name": f"step_{number}"}
        others = [other["name"] for other in self.steps]
        if number == 0 or chance.random() < 0.75:
            most = min(3, len(others))
            step["after"] = sorted(
                chance.sample(others, chance.choice([0, 1, 1, 2, 3]) if most > 2 else most)
            )
        before = after_of({"steps": [*self.steps, step]})
        ancestors = ancestors_of(before, step["name"])
        waits_for = before[step["name"]]
        if waits_for and chance.random() < 0.35:
            step["join"] = chance.choice(["any", chance.randint(1, len(waits_for))])
        sure = sure_before({"steps": [*self.steps, step]}, step["name"])
        if chance.random() < 0.3:
            step["when"] = self._condition(sure)
        is_behind = any(other.get("pivot") and other["name"] in ancestors for other in self.steps)
        join = step.get("join", "all")
        asked = {"all": len(waits_for), "any": 1}[join] if isinstance(join, str) else join
        may_be_early = not is_behind or len(self._early.intersection(waits_for)) >= asked
        is_forward = is_pivot or not may_be_early
        if not is_forward:
            self._early.add(step["name"])
        kind = chance.random()
        if is_pivot:
            step["pivot"] = True
        if kind < 0.1:
            self._make_signal(step)
        elif kind < 0.3 and self.child and (is_forward or not self.child[1]):
            self._make_child(step, self.child[0])
        else:
            self._make_service(step)
        if "signal" not in step:
            if chance.random() < 0.25 and not is_pivot:
                step["for_each"] = self._list(sure)
                if chance.random() < 0.7:
                    step["at_once"] = chance.randint(1, 4)
            self._map_input(step, ancestors, sure)
            self._draw_undo(step, is_forward=is_forward)
        self._draw_script(step)
        return step

    def _outputs(self, names: set[str]) -> list[str]:
        """Name those of the steps that give an object: neither a list nor what a child may leave empty."""
        return sorted(
            step["name"]
            for step in self.steps
            if step["name"] in names and "for_each" not in step and "process" not in step
        )

    def _condition(self, sure: set[str]) -> str:
        known = self._outputs(sure)
        found = ["parameters.flag_1", "parameters.flag_2", "!(parameters.flag_1)", "parameters.n > `4`"]
        if known:
            found.append(f"results.{self.chance.choice(known)}.n < `7`")
        return self.chance.choice(found)

    def _list(self, sure: set[str]) -> str:
        known = self._outputs(sure)
        found = ["parameters.list_1", "parameters.list_1", "parameters.list_2", "`[]`", '`[1, "b", null]`']
        if known:
            found.append(f"results.{self.chance.choice(known)}.list")
        return self.chance.choice(found)

    def _make_signal(self, step: Step) -> None:
        word = "give"
        if self.chance.random() < self.roughness:
            word = self.chance.choice(["refuse", "never"])
        elif self.chance.random() < 0.2:
            word = "give_twice"
        step["signal"] = True
        step["timeout"] = HASTY_S if word == "never" else PATIENT_S * 2
        self.script[effort_name(self.process_type, step["name"], None, "signal")] = [word]

    def _make_child(self, step: Step, child_type: str) -> None:
        step["process"] = child_type
        step["timeout"] = 2 if self.chance.random() < self.roughness else 120
        if self.chance.random() < 0.3:
            step["retry"] = {"attempts": 2, "backoff": 0.1}

    def _make_service(self, step: Step) -> None:
        chance = self.chance
        step["service"] = chance.choice(SERVICES)
        step["action"] = "do"
        if chance.random() < 0.4:
            step["retry"] = {"attempts": chance.randint(1, 3), "backoff": chance.choice([0.02, 0.3])}
        if chance.random() < 0.3:
            step["verify"] = {
                "action": "ask", "fences": chance.random() < 0.7, "timeout": HASTY_S,
                "retry": {"attempts": 2, "backoff": 0.1},
            }  # fmt: skip

    def _map_input(self, step: Step, ancestors: set[str], sure: set[str]) -> None:
        chance = self.chance
        mapped = {"number": "parameters.n", "twice": "[parameters.n, parameters.n]"}
        certain, known = self._outputs(sure), sorted(ancestors)
        lists = sorted(one["name"] for one in self.steps if one["name"] in sure and "for_each" in one)
        if certain:
            mapped["value"] = f"results.{chance.choice(certain)}.value"
        if known:
            mapped["maybe"] = f"results.{chance.choice(known)} || 'nothing'"
        if lists:
            mapped["count"] = f"length(results.{chance.choice(lists)})"
        if "for_each" in step:
            mapped |= {"which": "item", "index": "index"}
        if "process" in step:
            names = ("run", "n", "flag_1", "flag_2", "list_1", "list_2")
            mapped |= {name: f"parameters.{name}" for name in names}
            mapped["via"] = f"'{step['name']}'"
            step["input"] = mapped
        elif chance.random() < 0.5:
            step["input"] = mapped

    def _draw_undo(self, step: Step, *, is_forward: bool) -> None:
        chance = self.chance
        if chance.random() < 0.15 or (is_forward and chance.random() < 0.5):
            if not is_forward or chance.random() < 0.3:
                step["compensation"] = "none"
        elif "process" not in step:
            retry = {"attempts": chance.randint(2, 4), "backoff": 0.05}
            undo: dict[str, Any] = {"action": "undo", "timeout": HASTY_S, "retry": retry}
            if chance.random() < 0.5:
                undo["input"] = {"n": "parameters.n", "own": f"results.{step['name']} || 'unknown'"}
                if "for_each" in step:
                    undo["input"]["item"] = "item"
            step["compensation"] = undo

    def _draw_script(self, step: Step) -> None:
        if "service" not in step:
            return
        indexes = range(ITEMS_MAX) if "for_each" in step else [None]
        is_hasty = False
        for index in indexes:
            for kind, words in (
                ("action", self._action_words()), ("compensation", self._undo_words()),
                ("verify", self._verify_words()),
            ):  # fmt: skip
                self.script[effort_name(self.process_type, step["name"], index, kind)] = words
                is_hasty |= kind == "action" and any(one[:4] in {"sile", "lost", "late"} for one in words)
        if is_hasty:
            step["timeout"] = HASTY_S
        # Half of those without a fence forget an undo that found nothing: what comes later is to be undone then.
        if not step.get("verify", {}).get("fences") and self.chance.random() < 0.5:
            self.script[effort_name(self.process_type, step["name"], None, "memory")] = ["forgets"]

    def _action_words(self) -> list[str]:
        chance = self.chance
        well = chance.choice(["ok", "ok", "ok", "ok", "twice", "slow:0.1", "slow:0.3", "progress:0.5"])
        if chance.random() > self.roughness * 1.5:
            return [well]
        return chance.choice(
            [
                ["fail", well], ["fail", "fail", well], ["fail", "fail", "fail"], ["refuse"],
                ["fail", "refuse"], ["silent", well], ["lost", well], ["lost", "silent", well], ["lost"],
                ["silent"], [f"late:{_LATE_S}", well], [f"late:{_LATE_S}"], [f"late_answer:{_LATE_S}", "lost"],
                [f"late:{_TOO_LATE_S}"], [f"late:{_TOO_LATE_S}"], [f"late:{_TOO_LATE_S}"],
                ["ok_then_fail"], ["ok_then_refuse"], ["fail_then_ok", well], ["refuse_then_ok"],
            ]
        )  # fmt: skip

    def _undo_words(self) -> list[str]:
        chance = self.chance
        well = chance.choice(["ok", "ok", "ok", "twice", "slow:0.1", "ok_then_fail"])
        if chance.random() > self.roughness:
            return [well]
        words = [
            ["fail", well],
            ["silent", well],
            ["lost", well],
            ["fail"],
            ["refuse"],
            ["fail_then_ok", well],
        ]
        return chance.choice(words)

    def _verify_words(self) -> list[str]:
        return self.chance.choice([["ok"], ["ok"], ["ok"], ["lost", "ok"], ["fail", "ok"], ["fail"]])
