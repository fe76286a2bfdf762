"""The expressions of definitions: JMESPath over a process's parameters and the outputs of its steps.

An expression is judged when its definition is loaded: what it may call, how deep it goes and what it reads are
known before a process starts. What can be known only with the data ends in `ExpressionFailed`, which never
repeats a value.
"""

import math
from dataclasses import dataclass, field
from typing import cast

from jmespath.exceptions import (
    EmptyExpressionError,
    IncompleteExpressionError,
    JMESPathTypeError,
    LexerError,
    ParseError,
)
from jmespath.functions import TYPES_MAP, Functions, signature
from jmespath.lexer import Lexer
from jmespath.parser import Parser
from jmespath.visitor import Options, TreeInterpreter

from saga.definition.expression_references import Node, Reading, ResultReference, parameter_types, read_by
from saga.messages.json_text import Json, JsonObject
from saga.messages.strict_json import DEFAULT_LIMITS, INT64_MAX, INT64_MIN

__all__ = ["Expression", "ExpressionFailed", "InvalidExpression", "ResultReference"]

TEXT_MAX = 1_000
DEPTH_MAX = 64
WORK_MAX = 1_000_000
_SHOWN_MAX = 200
_BARE_WORD = "not JMESPath: what stands between backticks must be JSON; text is written as 'text'"
_CHARACTERS_PER_WORK = 64
_OPENING = frozenset({"lparen", "lbracket", "lbrace", "filter"})
_CLOSING = frozenset({"rparen", "rbracket", "rbrace"})


class InvalidExpression(ValueError):  # noqa: N818 - the name of what came in
    """Say in one line why a text can't be an expression, and at which character."""


class ExpressionFailed(ValueError):  # noqa: N818 - the name of what happened
    """Say in one line why an expression has no value for this scope; the line holds nothing of the scope."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression; two of the same text are equal. Raises InvalidExpression for what can't be one.

    The same text and scope always give the same value, on every version of Python: no function of JMESPath
    knows time or chance, and sums don't depend on how an interpreter adds. The order of an object's members is
    part of the scope: `keys(@)` gives them as they come.
    """

    text: str
    _tree: Node = field(init=False, repr=False, compare=False)
    _reading: Reading = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        tree = _parse(self.text)
        object.__setattr__(self, "_tree", tree)
        object.__setattr__(self, "_reading", read_by(tree))

    @property
    def roots(self) -> frozenset[str]:
        """The top-level names that it reads from the scope; `@` where it reads the scope as a whole."""
        return self._reading.roots

    @property
    def result_references(self) -> tuple[ResultReference, ...]:
        """The steps whose outputs it reads by name, each at most once guarded and once not."""
        return self._reading.references

    @property
    def reads_all_results(self) -> bool:
        """Whether it uses `results` as a whole, so that it may read any step's output."""
        return self._reading.reads_all_results

    def evaluate(self, scope: JsonObject) -> Json:
        """Give the value for this scope, as JSON that can be kept; it shares nothing with the scope.

        A missing name is null. Raises ExpressionFailed, and nothing else: also for work out of all proportion,
        which a short text can ask for (`[@,@]|[@,@]|...` doubles with each step).
        """
        try:
            return _kept(_Interpreter().visit(self._tree, scope))
        except ExpressionFailed:
            raise
        except JMESPathTypeError as error:
            raise ExpressionFailed(_wrong_type(error)) from None
        except ArithmeticError:
            raise ExpressionFailed("a number grows out of range") from None
        except RecursionError:
            raise ExpressionFailed("nested too deep") from None
        except (TypeError, ValueError, AttributeError, LookupError):
            # What the library leaves to Python: 1 < 'a', contains('a', `1`), merge(a, `1`), ceil of no number.
            raise ExpressionFailed(
                "a value is of a kind that can't be compared, searched, merged or rounded here"
            ) from None


def _parse(text: str) -> Node:
    if len(text) > TEXT_MAX:
        raise InvalidExpression(f"longer than {TEXT_MAX} characters")
    try:
        _check_tokens(text)
        tree: Node = Parser().parse(text).parsed
    except EmptyExpressionError:
        raise InvalidExpression("empty") from None
    except IncompleteExpressionError:
        raise InvalidExpression("not JMESPath: it ends too early") from None
    except ParseError as error:
        reason = error.message if isinstance(error, LexerError) else error.msg
        raise _invalid(reason, error.lex_position) from None
    except PendingDeprecationWarning:  # where warnings are errors
        raise InvalidExpression(_BARE_WORD) from None
    except RecursionError:
        raise InvalidExpression(f"nested deeper than {DEPTH_MAX}") from None
    _check_tree(tree)
    return tree


def _invalid(reason: str, position: int) -> InvalidExpression:
    shown = " ".join(reason.split())[:_SHOWN_MAX]
    return InvalidExpression(f"not JMESPath: {shown}, at character {position + 1}")


def _check_tokens(text: str) -> None:
    """Refuse what the parser would take, but not everywhere, or not for ever.

    How many brackets it can follow depends on who calls it; and it still reads a bare word between backticks
    as a string.
    """
    depth = 0
    for token in Lexer().tokenize(text):
        kind, start = token["type"], token["start"]
        depth += (kind in _OPENING) - (kind in _CLOSING)
        if depth > DEPTH_MAX:
            raise InvalidExpression(f"nested deeper than {DEPTH_MAX}, at character {start + 1}")
        is_string = kind == "literal" and text[start] == "`" and isinstance(token["value"], str)
        if is_string and not text[start + 1 :].lstrip().startswith('"'):
            raise InvalidExpression(_BARE_WORD)


def _check_tree(tree: Node) -> None:
    pending = [(tree, 1)]
    while pending:
        node, depth = pending.pop()
        if depth > DEPTH_MAX:
            raise InvalidExpression(f"nested deeper than {DEPTH_MAX}")
        match node["type"]:
            case "slice":
                if cast("list[int | None]", node["children"])[2] == 0:
                    raise InvalidExpression("a slice can't have the step 0")
                continue
            case "subexpression" | "value_projection" | "filter_projection" | "flatten" if _is_negation(node):
                # !a.b is (!a).b to the library, and so always null.
                raise InvalidExpression("a ! binds tighter than what follows: write !(a.b)")
            case "expref":
                raise InvalidExpression("a reference (&) must be an argument of a function that takes one")
            case "literal":
                try:
                    _kept(node["value"])
                except ExpressionFailed as error:
                    raise InvalidExpression(f"a literal can't be kept: {error}") from None
            case "function_expression":
                pending.extend((argument, depth + 1) for argument in _checked_arguments(node))
                continue
        pending.extend((child, depth + 1) for child in node["children"])


def _is_negation(node: Node) -> bool:
    return node["children"][0]["type"] == "not_expression"


def _checked_arguments(node: Node) -> list[Node]:
    """Give the arguments of a call, without the `&` of those that must have one."""
    name, arguments = node["value"], node["children"]
    types = parameter_types(str(name))
    if types is None:
        raise InvalidExpression(f"there is no function {name}()")
    is_variadic = name in _VARIADIC
    if len(arguments) < len(types) or (len(arguments) > len(types) and not is_variadic):
        count = f"{'at least ' if is_variadic else ''}{len(types)} argument{'s' if len(types) > 1 else ''}"
        raise InvalidExpression(f"{name}() takes {count}, not {len(arguments)}")
    checked = list(arguments)
    for number, type_names in enumerate(types):
        if "expref" in type_names:
            if arguments[number]["type"] != "expref":
                raise InvalidExpression(f"argument {number + 1} of {name}() must be a reference, like &name")
            checked[number] = arguments[number]["children"][0]
    return checked


def _wrong_type(error: JMESPathTypeError) -> str:
    # For elements of an array the library gives Python's name of the type.
    actual = TYPES_MAP.get(error.actual_type, error.actual_type)
    expected = " or ".join(one.replace("-", " of ") for one in error.expected_types)
    return f"{error.function_name}() takes {expected}, not {actual}"


class _Functions(Functions):
    """JMESPath's own functions; numbers are added exactly, since Python adds floats otherwise from 3.12 on."""

    @signature({"types": ["array-number"]})
    def _func_sum(self, numbers: list[int | float]) -> int | float:
        if any(isinstance(number, float) for number in numbers):
            return math.fsum(numbers)
        return sum(numbers)

    @signature({"types": ["array-number"]})
    def _func_avg(self, numbers: list[int | float]) -> float | None:
        return self._func_sum(numbers) / len(numbers) if numbers else None


_VARIADIC = frozenset(
    name for name, known in _Functions.FUNCTION_TABLE.items() if known["signature"][-1].get("variadic")
)
_OPTIONS = Options(custom_functions=_Functions())


class _Interpreter(TreeInterpreter):
    """The library's interpreter with a bound on its work; one per evaluation, since it counts."""

    def __init__(self) -> None:
        super().__init__(_OPTIONS)
        self._left = WORK_MAX

    def visit(self, node: Node, *args: object, **kwargs: object) -> object:
        self._spend(1)
        value: object = super().visit(node, *args, **kwargs)
        match node["type"]:
            case "multi_select_list" | "multi_select_dict" | "function_expression":
                self._weigh(
                    value
                )  # it may hold the same part many times, and whoever compares it sees them all
            case "flatten" | "slice" if isinstance(value, list):
                self._spend(len(value))
        return value

    def _weigh(self, value: object) -> None:
        pending = [value]
        while pending:
            item = pending.pop()
            self._spend(1)
            if isinstance(item, str):
                self._spend(len(item) // _CHARACTERS_PER_WORK)
            elif isinstance(item, list):
                pending.extend(item)
            elif isinstance(item, dict):
                pending.extend(item.values())

    def _spend(self, work: int) -> None:
        self._left -= work
        if self._left < 0:
            raise ExpressionFailed("it takes too much work")


def _kept(value: object, depth: int = 0) -> Json:
    """Copy a value, so that nobody changes a literal of the tree.

    Raises ExpressionFailed for what can't be kept as JSON.
    """
    match value:
        case None | bool():
            return value
        case str():
            return _text(value)
        case int():
            if not INT64_MIN <= value <= INT64_MAX:
                raise ExpressionFailed("an integer is outside 64 bits")
            return value
        case float():
            if not math.isfinite(value):
                raise ExpressionFailed("a number is not finite")
            return value
        case list() | dict() if depth == DEFAULT_LIMITS.depth_max:
            raise ExpressionFailed(f"the value is nested deeper than {depth}")
        case list():
            return [_kept(item, depth + 1) for item in value]
        case dict():
            return {_key(key): _kept(item, depth + 1) for key, item in value.items()}
        case _:
            raise ExpressionFailed("a part of the value is no JSON")


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise ExpressionFailed("the key of a member is no string")
    if "\x00" in key:
        raise ExpressionFailed("a key holds a NUL character")
    return _text(key)


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ExpressionFailed("a string holds a lone surrogate") from None
    return text
