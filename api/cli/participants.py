"""`saga participant …`: the commands for those who write participants; each command loads what it needs."""

from typing import Annotated

from cyclopts import App, Parameter

from api.cli.app import AS_TABLE, Printed
from api.cli.outcome import Exit

app = App(
    name="participant",
    help="Begin a participant in Python, and check participants of any language.",
    help_format="plaintext",
)


@app.command
def new(
    service: str,
    /,
    *,
    source: Annotated[str, Parameter(name=["--from"], help="A file, a folder or a module with definitions.")],
    file: Annotated[
        str | None, Parameter(allow_leading_hyphen=True, help="Where to; - is stdout, else NAME.py.")
    ] = None,
) -> Exit:
    """Write a participant in Python for a service of a definition: models, and handlers to be filled in."""
    from api.cli import stubs  # noqa: PLC0415 - loads only what runs

    return stubs.write(service, source, file or f"{service}.py")


@app.command
def check(  # noqa: PLR0913 - one per option
    target: str,
    /,
    *,
    action: Annotated[str | None, Parameter(help="An action of the participant: it is really done.")] = None,
    compensation: Annotated[str | None, Parameter(help="The action that undoes it.")] = None,
    verify: Annotated[str | None, Parameter(help="The action that tells whether it was done.")] = None,
    fences: Annotated[
        bool, Parameter(negative="", help="It refuses what it said was never done, as `fences: true` asks.")
    ] = False,
    parameter: Annotated[
        tuple[str, ...],
        Parameter(
            name=["--parameter", "-p"], negative="", help="key=value; the value is JSON, or else a string."
        ),
    ] = (),
    parameters: Annotated[
        str | None, Parameter(allow_leading_hyphen=True, help="A file with all parameters; - is stdin.")
    ] = None,
    only: Annotated[
        tuple[str, ...], Parameter(negative="", help="Only this case; may be given several times.")
    ] = (),
    timeout: Annotated[float, Parameter(help="How many seconds an answer may take.")] = 10,
    amqp_url: Annotated[
        str | None, Parameter(env_var="SAGA_AMQP_URL", help="The broker, where the target is a service.")
    ] = None,
    amqp_prefix: Annotated[
        str, Parameter(env_var="SAGA_AMQP_PREFIX", help="What the names on the broker begin with.")
    ] = "saga",
    yes: Annotated[bool, Parameter(negative="", help="Don't ask: send the commands.")] = False,
    printed: Printed = AS_TABLE,
) -> Exit:
    """Act as the orchestrator on a participant, an address or a service's name, and say how it bears it.

    It really does the action, a few dozen times, for processes whose ids begin with check-. Exit code 1 where a
    case failed, 6 where the participant is not reachable.
    """
    from api.cli import arguments, checking  # noqa: PLC0415 - loads only what runs
    from api.cli.output import Output  # noqa: PLC0415

    return checking.check(
        Output(printed.output),
        target,
        asked=checking.Asked(
            action=action,
            compensation=compensation,
            verify=verify,
            is_fencing=fences,
            parameters=arguments.parameters(parameters, parameter),
            only=only,
            timeout_s=timeout,
            is_confirmed=yes,
        ),
        broker=checking.Broker(amqp_url, amqp_prefix),
    )
