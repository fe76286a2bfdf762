"""Turn the model's complaints into sentences that name the step and the word."""

from collections.abc import Sequence

from pydantic import ValidationError

from saga.definition.model import CompensationDefinition

# What pydantic says in words of Python, in those of YAML and JSON.
_PLAIN = {
    "dict_type": "Input should be an object",
    "model_type": "Input should be an object",
    "tuple_type": "Input should be a list",
    "string_type": "Input should be a text",
}


def problems_of(error: ValidationError, step_names: Sequence[object] = ()) -> tuple[str, ...]:
    """Give one sentence per complaint; no value that was given is repeated."""
    complaints = error.errors(include_url=False, include_input=False, include_context=False)
    telling = [
        complaint for complaint in complaints if not _is_noise(complaint["loc"], str(complaint["type"]))
    ]
    # What is noise beside another complaint is all there is to say when it stands alone.
    return tuple(
        _sentence(complaint["loc"], _PLAIN.get(str(complaint["type"]), str(complaint["msg"])), step_names)
        for complaint in telling or complaints
    )


def _sentence(location: tuple[int | str, ...], message: str, step_names: Sequence[object]) -> str:
    # A union's branch stands in the location by its class name, which means nothing to the author.
    parts = [str(part) for part in location if part != CompensationDefinition.__name__]
    message = message.removeprefix("Value error, ").replace("Tuple should have", "List should have")
    if parts[-1:] == ["[key]"]:
        # It may be empty, or hold what can't be shown.
        parts, message = parts[:-2], f"a name in it can't be used: {message}"
    if len(location) > 1 and location[0] == "steps" and isinstance(location[1], int):
        index = location[1]
        name = step_names[index] if index < len(step_names) else None
        where = f"step {name!r}" if isinstance(name, str) else f"step number {index + 1}"
        rest = ".".join(parts[2:])
        return f"{where}: {rest}: {message}" if rest else f"{where}: {message}"
    where = ".".join(parts)
    return f"{where}: {message}" if where else message


def _is_noise(location: tuple[int | str, ...], kind: str) -> bool:
    """Say whether a complaint only follows from another: a union's other branch, a list that came out empty."""
    return kind == "literal_error" or (location == ("steps",) and kind == "too_short")
