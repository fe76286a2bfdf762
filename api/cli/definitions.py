"""`saga definition …`: the commands for definitions and their options; each command loads what it needs."""

from typing import Annotated, Literal

from cyclopts import App, Parameter

from api.cli.app import AS_TABLE, HERE, Printed, Service
from api.cli.outcome import Exit

app = App(
    name="definition",
    help="Check, draw and explore definitions; list those of a service.",
    help_format="plaintext",
)


Sources = Annotated[
    tuple[str, ...],
    Parameter(help="Files, folders, or Python modules, as SAGA_DEFINITIONS takes them."),
]
TypeName = Annotated[
    str | None, Parameter(name=["--type"], help="Only this process type, where there are several.")
]


@app.command
def check(first: str, /, *more: str, printed: Printed = AS_TABLE) -> Exit:
    """Check definitions: exit code 1 where one may not run; warnings are only said."""
    from api.cli import defining  # noqa: PLC0415 - loads only what runs
    from api.cli.output import Output  # noqa: PLC0415

    return defining.check(Output(printed.output), (first, *more))


@app.command
def graph(
    source: str,
    /,
    *,
    process_type: TypeName = None,
    form: Annotated[
        Literal["mermaid", "dot"], Parameter(name=["--format"], help="The language of the drawing.")
    ] = "mermaid",
) -> Exit:
    """Draw a definition as text: steps, order, the pivot, what undoes what."""
    from api.cli import defining  # noqa: PLC0415

    return defining.draw(source, process_type, form)


@app.command
def explore(  # noqa: PLR0913 - one per option
    source: str,
    /,
    *,
    process_type: TypeName = None,
    faults: Annotated[Literal[1, 2], Parameter(help="How many things go wrong at once.")] = 1,
    parameters: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True, help="JSON, or a file of it; - is stdin. Else an example is made."
        ),
    ] = None,
    outputs: Annotated[
        str | None, Parameter(help="A file of JSON: step name to the output that it gives.")
    ] = None,
    combinations_max: Annotated[int, Parameter(help="Run so many combinations at most.")] = 5_000,
    exhaustive: Annotated[
        bool, Parameter(negative="", help="Instead: every order in which messages and timers may come.")
    ] = False,
    states_max: Annotated[int, Parameter(help="Reach so many states at most.")] = 20_000,
    strict: Annotated[
        bool, Parameter(negative="", help="Exit code 1 also where a combination needs a person.")
    ] = False,
    printed: Printed = AS_TABLE,
) -> Exit:
    """Say what becomes of a process when its steps go wrong. Nothing is sent."""
    from api.cli import exploring  # noqa: PLC0415
    from api.cli.output import Output  # noqa: PLC0415

    chosen = exploring.load(source, process_type, parameters=parameters, outputs=outputs)
    output = Output(printed.output)
    if exhaustive:
        return exploring.exhaustively(output, chosen, states_max=states_max, is_strict=strict)
    return exploring.with_faults(
        output, chosen, faults=faults, combinations_max=combinations_max, is_strict=strict
    )


@app.command(name="list")
def list_(*, service: Service = HERE) -> Exit:
    """List the process types that a service can start."""
    from api.cli import defining  # noqa: PLC0415
    from api.cli.client import Client  # noqa: PLC0415
    from api.cli.output import Output  # noqa: PLC0415

    return defining.list_types(Client(service.url), Output(service.output))


@app.command
def show(process_type: str, /, *, service: Service = HERE) -> Exit:
    """Show a process type of a service: its steps and its versions."""
    from api.cli import defining  # noqa: PLC0415
    from api.cli.client import Client  # noqa: PLC0415
    from api.cli.output import Output  # noqa: PLC0415

    return defining.show_type(Client(service.url), Output(service.output), process_type)
