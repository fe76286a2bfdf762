"""Evaluate what a definition maps: conditions, lists, inputs, results. A mapping that fails is an outcome."""

from saga.definition.expressions import Expression, ExpressionFailed
from saga.definition.graph import ObjectPlan
from saga.messages.json_text import Json, JsonObject, JsonText, to_text
from saga.process.limits import MAPPED_BYTES_MAX


class MappingFailed(Exception):  # noqa: N818 - what happened
    """Say why an expression gave nothing that can be used; the step fails for good."""

    code = "mapping_error"


def evaluate(expression: Expression, scope: JsonObject) -> Json:
    """Give the value of an expression. Raises MappingFailed, and nothing else."""
    try:
        return expression.evaluate(scope)
    except ExpressionFailed as error:
        raise MappingFailed(f"{expression.text}: {error}") from None


def evaluate_object(plan: ObjectPlan, scope: JsonObject) -> JsonText:
    """Build an object, each member by its expression. Raises MappingFailed."""
    return as_text({name: evaluate(expression, scope) for name, expression in plan})


def as_text(value: Json) -> JsonText:
    """Write what a mapping gave. Raises MappingFailed where it is too large: an expression may repeat itself."""
    text = to_text(value)
    if len(text) > MAPPED_BYTES_MAX:
        raise MappingFailed(f"it gives more than {MAPPED_BYTES_MAX} characters")
    return text
