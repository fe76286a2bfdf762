"""The commands and their options. Nothing heavy is imported here: each command loads what it needs."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter
from cyclopts.exceptions import CycloptsError

from api.cli.outcome import CommandError, Exit
from api.version import VERSION

if TYPE_CHECKING:
    from api.cli.client import Client
    from api.cli.output import Output

ROLES = ("api", "coordinator")
DEMO_PARTICIPANTS = "demo-participants"
DEMO_ROLES = (*ROLES, DEMO_PARTICIPANTS)

app = App(
    name="saga",
    help="Start, watch and read sagas, and run the server that carries them.",
    version=VERSION,
    help_format="plaintext",
)


@Parameter(name="*")
@dataclass(frozen=True)
class Service:
    """Which service is asked, and how its answer is printed."""

    url: Annotated[str, Parameter(env_var="SAGA_URL", help="The address of the service.")] = (
        "http://127.0.0.1:8003"
    )
    output: Annotated[
        Literal["table", "json", "jsonl"], Parameter(name=["--output", "-o"], help="The form of the output.")
    ] = "table"


HERE = Service()

Pairs = Annotated[tuple[str, ...], Parameter(negative="", help="key=value; may be given several times.")]
Seconds = Annotated[float | None, Parameter(help="Give up after so many seconds (exit code 5).")]


@app.command
def serve(
    *,
    roles: Annotated[str, Parameter(help="What to be, separated by commas: api, coordinator.")] = ",".join(
        ROLES
    ),
) -> Exit:
    """Run the server; SAGA_… settings say on which broker and store."""
    from api.cli import commands  # noqa: PLC0415 - loads only what runs

    chosen = tuple(role.strip() for role in roles.split(",") if role.strip())
    unknown = [role for role in chosen if role not in DEMO_ROLES]
    if unknown or not chosen:
        raise CommandError(Exit.USAGE, f"--roles takes {', '.join(DEMO_ROLES)}")
    return commands.serve(chosen, demo=False)


@app.command
def demo(
    *,
    participants_only: Annotated[
        bool, Parameter(negative="", help="Only the participants, beside servers that run elsewhere.")
    ] = False,
) -> Exit:
    """Run a server with the demo's sagas and participants."""
    from api.cli import commands  # noqa: PLC0415

    return commands.serve((DEMO_PARTICIPANTS,) if participants_only else DEMO_ROLES, demo=True)


@app.command
def start(  # noqa: PLR0913 - one per option
    process_type: str,
    /,
    *,
    parameter: Annotated[
        tuple[str, ...],
        Parameter(
            name=["--parameter", "-p"], negative="", help="key=value; the value is JSON, or else a string."
        ),
    ] = (),
    parameters: Annotated[
        str | None, Parameter(allow_leading_hyphen=True, help="A file with all parameters; - is stdin.")
    ] = None,
    label: Pairs = (),
    process_id: Annotated[str | None, Parameter(help="A UUID of your own: repeating is safe.")] = None,
    key: Annotated[str | None, Parameter(help="An idempotency key: repeating is safe.")] = None,
    wait: Annotated[int | None, Parameter(help="Wait so many seconds for the end, 60 at most.")] = None,
    watch: Annotated[bool, Parameter(negative="", help="Watch it until it ends.")] = False,
    service: Service = HERE,
) -> Exit:
    """Start a process. With --wait or --watch exit code 4 says that it did not complete."""
    from api.cli import arguments, commands  # noqa: PLC0415

    client, output = _client(service)
    return commands.start(
        client,
        output,
        process_type=process_type,
        parameters=arguments.parameters(parameters, parameter),
        labels=arguments.labels(label),
        process_id=process_id,
        key=key,
        wait_s=wait,
        follow=watch,
    )


@app.command
def show(process_id: str, /, *, service: Service = HERE) -> Exit:
    """Show one process: its steps, and what it waits for."""
    from api.cli import commands  # noqa: PLC0415

    return commands.show_one(*_client(service), process_id)


@app.command(name="list")
def list_(
    *,
    status: Annotated[tuple[str, ...], Parameter(negative="", help="May be given several times.")] = (),
    process_type: Annotated[str | None, Parameter(name=["--type"], help="Only this process type.")] = None,
    label: Annotated[tuple[str, ...], Parameter(negative="", help="key:value; all must hold.")] = (),
    attention: Annotated[bool, Parameter(negative="", help="Only those that need a person.")] = False,
    started_after: Annotated[str | None, Parameter(help="A time such as 2026-11-24T12:00:00Z.")] = None,
    started_before: str | None = None,
    limit: Annotated[int, Parameter(help="How many at most.")] = 50,
    service: Service = HERE,
) -> Exit:
    """List processes, the newest first."""
    from api.cli import commands  # noqa: PLC0415

    if limit < 1:
        raise CommandError(Exit.USAGE, "--limit must be at least 1")
    filters = [("status", one) for one in status] + [("label", one) for one in label]
    single = {
        "process_type": process_type,
        "attention": "true" if attention else None,
        "started_after": started_after,
        "started_before": started_before,
    }
    filters += [(name, value) for name, value in single.items() if value is not None]
    return commands.list_many(*_client(service), filters=filters, limit=limit)


@app.command
def watch(process_id: str, /, *, timeout: Seconds = None, service: Service = HERE) -> Exit:
    """Watch a process until it ends or needs a person."""
    from api.cli import commands  # noqa: PLC0415

    return commands.follow_one(*_client(service), process_id, timeout_s=timeout)


@app.command
def events(
    process_id: str,
    /,
    *,
    after: Annotated[int, Parameter(help="Only entries with a greater number.")] = 0,
    service: Service = HERE,
) -> Exit:
    """Show the log of a process."""
    from api.cli import commands  # noqa: PLC0415

    return commands.events(*_client(service), process_id, after=after)


Reason = Annotated[str, Parameter(help="Why; it stands in the log with who asked.")]
Key = Annotated[str | None, Parameter(help="An idempotency key: repeating is safe.")]
StepName = Annotated[str | None, Parameter(help="The step, or one of its items: name[3].")]
OutputValue = Annotated[
    str | None, Parameter(name=["--output-value"], help="The output that it gave: JSON, or else a string.")
]


@app.command
def cancel(process_id: str, /, *, reason: Reason, key: Key = None, service: Service = HERE) -> Exit:
    """Turn a process back: what was done is undone."""
    return _act("cancel", process_id, service, reason=reason, key=key)


@app.command
def compensate(process_id: str, /, *, reason: Reason, key: Key = None, service: Service = HERE) -> Exit:
    """Undo a process, also one that completed."""
    return _act("compensate", process_id, service, reason=reason, key=key)


@app.command
def pause(
    process_id: str | None = None,
    /,
    *,
    reason: Reason,
    process_type: Annotated[str | None, Parameter(name=["--type"], help="All of a type instead.")] = None,
    key: Key = None,
    service: Service = HERE,
) -> Exit:
    """Send nothing more for a process, or for all of a type, until it is resumed."""
    return _act_on_one_or_type("pause", process_id, process_type, service, reason=reason, key=key)


@app.command
def resume(
    process_id: str | None = None,
    /,
    *,
    reason: Reason,
    process_type: Annotated[str | None, Parameter(name=["--type"], help="All of a type instead.")] = None,
    key: Key = None,
    service: Service = HERE,
) -> Exit:
    """Go on with a process that is paused, or with all of a type."""
    return _act_on_one_or_type("resume", process_id, process_type, service, reason=reason, key=key)


@app.command
def retry(
    process_id: str, /, *, reason: Reason, step: StepName = None, key: Key = None, service: Service = HERE
) -> Exit:
    """Give what is stuck a whole new budget of attempts."""
    return _act("retry", process_id, service, reason=reason, step=step, key=key)


@app.command
def skip(
    process_id: str,
    /,
    *,
    reason: Reason,
    step: StepName = None,
    output_value: OutputValue = None,
    key: Key = None,
    service: Service = HERE,
) -> Exit:
    """Go on without a step that is stuck: it was not done, and needs no undo."""
    from api.cli import arguments  # noqa: PLC0415

    result = arguments.output(output_value)
    return _act("skip", process_id, service, reason=reason, step=step, result=result, key=key)


@app.command
def resolve(
    process_id: str,
    /,
    *,
    reason: Reason,
    outcome: Annotated[Literal["completed", "failed"], Parameter(help="What became of it.")],
    step: StepName = None,
    output_value: OutputValue = None,
    key: Key = None,
    service: Service = HERE,
) -> Exit:
    """State what became of a step of which nobody knows."""
    from api.cli import arguments  # noqa: PLC0415

    result = arguments.output(output_value)
    return _act(
        "resolve", process_id, service, reason=reason, step=step, outcome=outcome, result=result, key=key
    )


@app.command
def fail(process_id: str, /, *, reason: Reason, key: Key = None, service: Service = HERE) -> Exit:
    """Give up a process that stands still, as it stands."""
    return _act("fail", process_id, service, reason=reason, key=key)


@app.command
def signal(
    command_id: str,
    /,
    *,
    output_value: OutputValue = None,
    refuse: Annotated[str | None, Parameter(help="Refuse it, with this code.")] = None,
    service: Service = HERE,
) -> Exit:
    """Give a signal that a process waits for; `saga show` names its command."""
    from api.cli import acting, arguments  # noqa: PLC0415

    client, output = _client(service)
    result = arguments.output(output_value)
    return acting.signal(client, output, command_id=command_id, result=result, refusal=refuse)


app.command("api.cli.definitions:app", name="definition", help="Check, draw and explore definitions.")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(tokens, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        return Exit.USAGE
    except CommandError as error:
        sys.stderr.write(f"saga: {error}\n")
        return error.code
    except KeyboardInterrupt:
        return Exit.ERROR
    except BrokenPipeError:
        return _closed_pipe()
    return code if isinstance(code, int) else Exit.WELL


def _act(action: str, process_id: str, service: Service, **words: Any) -> Exit:  # noqa: ANN401 - the options
    from api.cli import acting  # noqa: PLC0415

    client, output = _client(service)
    return acting.act(client, output, action=action, process_id=process_id, **words)


def _act_on_one_or_type(
    action: str,
    process_id: str | None,
    process_type: str | None,
    service: Service,
    *,
    reason: str,
    key: str | None,
) -> Exit:
    from api.cli import acting  # noqa: PLC0415

    if (process_id is None) == (process_type is None):
        raise CommandError(Exit.USAGE, "name a process, or a type with --type")
    if process_id is not None:
        return _act(action, process_id, service, reason=reason, key=key)
    client, output = _client(service)
    return acting.act_on_type(client, output, action=action, process_type=process_type or "", reason=reason)


def _client(service: Service) -> "tuple[Client, Output]":
    from api.cli.client import Client  # noqa: PLC0415
    from api.cli.output import Output  # noqa: PLC0415

    return Client(service.url), Output(service.output)


def _closed_pipe() -> Exit:
    """End quietly where whoever reads our output (`| head`) has enough of it."""
    # The interpreter flushes stdout at its end, and would complain there again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.ERROR
