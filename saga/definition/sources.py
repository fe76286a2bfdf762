"""Where definitions come from: YAML and JSON files, folders of them, and Python modules.

Each is checked whole before any is used; what is wrong is said with the file and the step.
"""

import importlib
from collections import Counter
from pathlib import Path

import yaml
from pydantic import ValidationError

from saga.definition.checks import problems_in
from saga.definition.model import SagaDefinition
from saga.definition.problems import problems_of
from saga.errors import InvalidDefinition

SUFFIXES = (".yaml", ".yml", ".json")


def load_definitions(source: str) -> tuple[SagaDefinition, ...]:
    """Load a file, a folder, or an importable module that holds sagas at its top level.

    Raises InvalidDefinition, also where the source does not exist or holds no definition.
    """
    path = Path(source)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
        return _some(source, tuple(_from_file(file) for file in files))
    if path.is_file() and path.suffix in SUFFIXES:
        return (_from_file(path),)
    if path.suffix in SUFFIXES or "/" in source:
        raise InvalidDefinition(source, ("there is no such file or folder",))
    return _from_module(source)


def parse_definition(text: str, *, source: str) -> SagaDefinition:
    """Read one definition from YAML or JSON text (JSON is YAML) and check it."""
    try:
        document = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise InvalidDefinition(source, (f"not YAML: {_one_line(error)}",)) from None
    except RecursionError:
        raise InvalidDefinition(source, ("nested too deep to be read",)) from None
    if not isinstance(document, dict):
        raise InvalidDefinition(source, ("a definition is an object with process_type and steps",))
    try:
        definition = SagaDefinition.model_validate(document)
    except ValidationError as error:
        raise InvalidDefinition(source, problems_of(error, _step_names(document))) from None
    return checked(definition, source=source)


def checked(definition: SagaDefinition, *, source: str) -> SagaDefinition:
    """Give the definition back when it may run, else raise InvalidDefinition with every problem."""
    problems = problems_in(definition)
    if problems:
        raise InvalidDefinition(source, problems)
    return definition


def _from_file(path: Path) -> SagaDefinition:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidDefinition(str(path), (f"can't be read: {error}",)) from None
    return parse_definition(text, source=str(path))


def _from_module(name: str) -> tuple[SagaDefinition, ...]:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise InvalidDefinition(name, (f"neither a file, a folder, nor a module: {error}",)) from None
    found = [value for value in vars(module).values() if isinstance(value, SagaDefinition)]
    return _some(name, tuple(checked(definition, source=name) for definition in found))


def _some(source: str, definitions: tuple[SagaDefinition, ...]) -> tuple[SagaDefinition, ...]:
    if not definitions:
        raise InvalidDefinition(source, ("holds no definition",))
    return definitions


def _step_names(document: dict[object, object]) -> list[object]:
    steps = document.get("steps")
    if not isinstance(steps, list):
        return []
    return [step.get("name") if isinstance(step, dict) else None for step in steps]


def _one_line(error: yaml.YAMLError) -> str:
    return " ".join(str(error).split())


# `<<: *shared` is no key of its own: its members give way to those that are written out.
_MERGE = "tag:yaml.org,2002:merge"


class _UniqueKeyLoader(yaml.SafeLoader):
    """The safe loader, which also refuses a key that is given twice: one of them would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:  # noqa: FBT001, FBT002 - yaml's signature
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != _MERGE]
        repeated = [key for key, count in Counter(map(str, keys)).items() if count > 1]
        if repeated:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {repeated[0]!r} is given twice", node.start_mark
            )
        mapping: dict[object, object] = super().construct_mapping(node, deep)
        return mapping
