"""Random sagas of all words: conditions, joins, lists, children, signals, questions, locks, a pivot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

SERVICES = ("first", "second", "third")
KEYS = ("k0", "k1")
_BROKEN = "sum(parameters.word)"  # it can be read, and never has a value
_CHILD_INPUT = {name: f"parameters.{name}" for name in ("number", "key", "other", "list", "flag", "word")}


def random_family(rng: random.Random, process_type: str) -> list[dict[str, Any]]:
    """Draw a definition that the checks accept, and before it those of its children, as documents."""
    return [*_Drawing(rng).family(process_type, depth=0, may_have_pivot=True)]


def random_parameters(rng: random.Random, number: int) -> dict[str, Any]:
    """Draw what a process is started with; there are few keys, so that they are contended for."""
    return {
        "number": number,
        "flag": rng.random() < 0.5,
        "key": rng.choice(KEYS),
        "other": rng.choice(KEYS),
        "list": [rng.randint(0, 9) for _ in range(rng.choice((0, 1, 2, 3, 4)))],
        "word": "word",
    }


def budget_s(definitions: Iterable[dict[str, Any]]) -> float:
    """Bound how long processes may take, one after the other, when nothing goes wrong any more."""
    attempts = sum(
        (4 if "for_each" in step else 1) * (3 + 4 + 3 * ("verify" in step)) * (2 if "process" in step else 1)
        for one in definitions
        for step in one["steps"]
    )
    found_by_the_poller, held_after_an_outage = 4, 10
    return attempts * (10 + 1 + found_by_the_poller) + held_after_an_outage


class _Drawing:
    """Draw one family."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def family(self, process_type: str, *, depth: int, may_have_pivot: bool) -> Iterable[dict[str, Any]]:
        rng = self._rng
        sizes = (1, 2, 3, 3, 4, 4, 5, 6) if depth == 0 else (1, 1, 2, 2, 3)
        names = [f"s{number}" for number in range(rng.choice(sizes))]
        pivot = rng.choice(names) if may_have_pivot and self._chance(0.3) else None
        has_joins = self._chance(0.3)
        children = 0
        behind: set[str] = set()
        before: dict[str, set[str]] = {}
        steps: list[dict[str, Any]] = []
        for position, name in enumerate(names):
            above = names[:position]
            after = set(above[-1:])
            step: dict[str, Any] = {"name": name}
            if self._chance(0.6):
                after = {one for one in above if self._chance(0.4)}
                step["after"] = sorted(after)
            before[name] = after.union(*(before[one] for one in after))
            is_forward = name == pivot or pivot in before[name]
            if name == pivot:
                step["pivot"] = True
            elif is_forward:
                behind.add(name)
            may_join = has_joins and (not is_forward or after <= {*behind, pivot})
            may_nest = depth < 2 and children < 2 and name != pivot
            readable = sorted(before[name]) if not has_joins else []
            if may_nest and self._chance(0.25 if depth == 0 else 0.1):
                children += 1
                child_type = f"{process_type}_c{children}"
                yield from self.family(child_type, depth=depth + 1, may_have_pivot=is_forward)
                self._as_child(step, child_type)
            elif name != pivot and self._chance(0.15):
                step |= {"signal": True, "timeout": self._seconds(1, 6)}
            else:
                self._as_service(step, name, readable, is_forward=is_forward)
            self._when_it_starts(step, after, readable, may_join=may_join)
            steps.append(step)
        retry = {"attempts": rng.randint(1, 3), "backoff": self._seconds(0, 0.4), "max_backoff": 1}
        definition: dict[str, Any] = {
            "process_type": process_type, "timeout": self._seconds(0.5, 3), "retry": retry, "steps": steps,
        }  # fmt: skip
        self._as_a_whole(definition, before, has_joins=has_joins)
        yield definition

    def _as_child(self, step: dict[str, Any], child_type: str) -> None:
        step |= {"process": child_type, "timeout": self._seconds(2, 8)}
        if self._chance(0.3):
            step["retry"] = {"attempts": 2, "backoff": 0.2, "max_backoff": 1}
        if self._chance(0.15):
            step["compensation"] = "none"
        if self._chance(0.2):
            step |= {"for_each": "parameters.list", "at_once": self._rng.randint(1, 3)}
            step["input"] = {**_CHILD_INPUT, "number": "item"}
        elif self._chance(0.3):
            step["input"] = dict(_CHILD_INPUT)

    def _as_service(self, step: dict[str, Any], name: str, readable: list[str], *, is_forward: bool) -> None:
        rng = self._rng
        step |= {"service": rng.choice(SERVICES), "action": "do"}
        if not is_forward:
            step["compensation"] = self._undo(name)
        if self._chance(0.5):
            step["timeout"] = self._seconds(0.5, 4)
        if self._chance(0.5):
            step["retry"] = {"attempts": rng.randint(1, 3)}
            if self._chance(0.3):
                step["retry"]["retry_on"] = ["timeout", "declined"]
        if self._chance(0.35):
            step["verify"] = {
                "action": "look", "fences": self._chance(0.5), "timeout": self._seconds(0.4, 2),
                "retry": {"attempts": rng.randint(1, 3)},
            }  # fmt: skip
        if not step.get("pivot") and self._chance(0.2):
            lists = ["parameters.list", *(f"results.{one}.list || parameters.list" for one in readable)]
            step |= {"for_each": rng.choice(lists), "at_once": rng.randint(1, 3)}
        if self._chance(0.25):
            step["input"] = {"number": "parameters.number"}
            for one in readable[:1]:
                step["input"]["from"] = f"results.{one}.made_by || 'nobody'"
            if "for_each" in step:
                step["input"] |= {"item": "item", "index": "index"}
            if self._chance(0.05):
                step["input"]["broken"] = _BROKEN

    def _undo(self, name: str) -> Any:
        if self._chance(0.2):
            return "none"
        undo: dict[str, Any] = {"action": "undo", "retry": {"attempts": self._rng.randint(1, 4)}}
        if self._chance(0.2):
            undo["input"] = {"made_by": f"results.{name}.made_by || 'nobody'"}
            if self._chance(0.1):
                undo["input"]["broken"] = _BROKEN
        return undo

    def _when_it_starts(
        self, step: dict[str, Any], after: set[str], readable: list[str], *, may_join: bool
    ) -> None:
        if may_join and len(after) > 1 and self._chance(0.7):
            step["join"] = self._rng.choice(["any", self._rng.randint(1, len(after))])
        if self._chance(0.15):
            conditions = ["parameters.flag", "parameters.number > `1`"]
            conditions += [f"(results.{one}.size || `0`) > `4`" for one in readable]
            step["when"] = _BROKEN if self._chance(0.05) else self._rng.choice(conditions)

    def _as_a_whole(
        self, definition: dict[str, Any], before: dict[str, set[str]], *, has_joins: bool
    ) -> None:
        rng = self._rng
        if self._chance(0.4):
            keys = ["parameters.key", "parameters.other"] if self._chance(0.4) else ["parameters.key"]
            definition |= {"locks": keys, "on_locked": rng.choice(["wait", "wait", "refuse", "join"])}
        if self._chance(0.4):
            definition["deadline"] = round(self._longest_s(definition, before) + rng.uniform(0, 1), 2)
        if self._chance(0.4) and not has_joins:
            definition["result"] = {name: f"results.{name} || 'nothing'" for name in before}

    @staticmethod
    def _longest_s(definition: dict[str, Any], before: dict[str, set[str]]) -> float:
        """Give the least deadline that the checks allow, or a little more."""
        own: dict[str, float] = {}
        for step in definition["steps"]:
            tries = step.get("retry", {}).get("attempts")
            tries = tries or (1 if "service" not in step else definition["retry"]["attempts"])
            efforts = [(step, tries)]
            if "verify" in step:
                efforts += [(step["verify"], step["verify"]["retry"]["attempts"])] * tries
            own[step["name"]] = 0.0
            for part, attempts in efforts:
                pause = 1.1 * 0.4 if "service" in step or part is not step else 0.22
                timeout_s = part.get("timeout", definition["timeout"])
                pauses = sum(min(pause * 2**number, 1.1) for number in range(attempts - 1))
                own[step["name"]] += attempts * timeout_s + pauses
        longest: dict[str, float] = {}
        for step in definition["steps"]:
            name = step["name"]
            longest[name] = own[name] + max((longest[one] for one in before[name]), default=0)
        return max(longest.values())

    def _seconds(self, least: float, most: float) -> float:
        return round(self._rng.uniform(least, most), 2)

    def _chance(self, share: float) -> bool:
        return self._rng.random() < share
