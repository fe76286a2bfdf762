"""The commands and their options. Nothing heavy is imported here: each command loads what it needs."""

import errno
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.exceptions import CycloptsError

from api.cli.outcome import CommandError, Exit

if TYPE_CHECKING:
    from api.cli.client import Client
    from api.cli.output import Output

ROLES = ("api", "coordinator", "http-participants")
_DISK_IS_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
DEMO_PARTICIPANTS = "demo-participants"
DEMO_ROLES = (*ROLES, DEMO_PARTICIPANTS)


def _version() -> str:
    from api.version import VERSION  # noqa: PLC0415 - to look it up costs as much as many a command

    return VERSION


app = App(
    name="saga",
    help="Start, watch and read sagas, and run the server that carries them.",
    version=_version,
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


@Parameter(name="*")
@dataclass(frozen=True)
class Printed:
    """How the answer is printed, where no service is asked."""

    output: Annotated[
        Literal["table", "json", "jsonl"], Parameter(name=["--output", "-o"], help="The form of the output.")
    ] = "table"


@Parameter(name="*")
@dataclass(frozen=True)
class Chosen:
    """Which processes are meant."""

    status: Annotated[tuple[str, ...], Parameter(negative="", help="May be given several times.")] = ()
    process_type: Annotated[str | None, Parameter(name=["--type"], help="Only this process type.")] = None
    label: Annotated[tuple[str, ...], Parameter(negative="", help="key:value; all must hold.")] = ()
    attention: Annotated[bool, Parameter(negative="", help="Only those that need a person.")] = False
    started_after: Annotated[str | None, Parameter(help="A time such as 2026-11-24T12:00:00Z.")] = None
    started_before: str | None = None


HERE = Service()
AS_TABLE = Printed()
ALL = Chosen()

Pairs = Annotated[tuple[str, ...], Parameter(negative="", help="key=value; may be given several times.")]
Process = Annotated[str, Parameter(help="The id of a process, or a file that `saga export` wrote.")]
Among = Annotated[
    str | None, Parameter(name=["--process"], help="Which process of the file, where there are several.")
]
Seconds = Annotated[float | None, Parameter(help="Give up after so many seconds (exit code 5).")]


@app.command
def serve(
    *,
    roles: Annotated[
        str, Parameter(help="What to be, separated by commas: api, coordinator, http-participants.")
    ] = ",".join(ROLES),
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
    callback_url: Annotated[
        str | None, Parameter(help="An https address that is told of its end, or that it is stuck.")
    ] = None,
    wait: Annotated[int | None, Parameter(help="Wait so many seconds for the end, 60 at most.")] = None,
    watch: Annotated[bool, Parameter(negative="", help="Watch it until it ends.")] = False,
    service: Service = HERE,
) -> Exit:
    """Start a process. With --wait or --watch exit code 4 says that it did not complete."""
    from api.cli import arguments, commands  # noqa: PLC0415

    client, output = connected(service)
    return commands.start(
        client,
        output,
        process_type=process_type,
        parameters=arguments.parameters(parameters, parameter),
        labels=arguments.labels(label),
        process_id=process_id,
        key=key,
        callback_url=callback_url,
        wait_s=wait,
        follow=watch,
    )


@app.command
def show(process: Process, /, *, among: Among = None, service: Service = HERE) -> Exit:
    """Show one process: its steps, and what it waits for."""
    from api.cli import commands  # noqa: PLC0415

    if is_file(process):
        from api.cli import past  # noqa: PLC0415 - a service is asked in all other cases

        return past.show_file(output_of(service), process, among=among)
    return commands.show_one(*connected(service), process)


@app.command(name="list")
def list_(
    *,
    chosen: Chosen = ALL,
    limit: Annotated[int, Parameter(help="How many at most.")] = 50,
    service: Service = HERE,
) -> Exit:
    """List processes, the newest first."""
    from api.cli import commands  # noqa: PLC0415

    if limit < 1:
        raise CommandError(Exit.USAGE, "--limit must be at least 1")
    filters = [("status", one) for one in chosen.status] + [("label", one) for one in chosen.label]
    single = {
        "process_type": chosen.process_type,
        "attention": "true" if chosen.attention else None,
        "started_after": chosen.started_after,
        "started_before": chosen.started_before,
    }
    filters += [(name, value) for name, value in single.items() if value is not None]
    return commands.list_many(*connected(service), filters=filters, limit=limit)


@app.command
def watch(process_id: str, /, *, timeout: Seconds = None, service: Service = HERE) -> Exit:
    """Watch a process until it ends or needs a person."""
    from api.cli import commands  # noqa: PLC0415

    return commands.follow_one(*connected(service), process_id, timeout_s=timeout)


@app.command
def events(
    process: Process,
    /,
    *,
    among: Among = None,
    after: Annotated[int, Parameter(help="Only entries with a greater number.")] = 0,
    service: Service = HERE,
) -> Exit:
    """Show the log of a process."""
    from api.cli import commands  # noqa: PLC0415

    if is_file(process):
        from api.cli import past  # noqa: PLC0415

        return past.events(output_of(service), process, among=among, after=after)
    return commands.events(*connected(service), process, after=after)


app.command("api.cli.services:app", name="service", help="Look at the participants.")
app.command("api.cli.definitions:app", name="definition", help="Check, draw and explore definitions.")
app.command("api.cli.participants:app", name="participant", help="Check participants of any language.")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    # Their commands join those above.
    from api.cli import operating, replaying, versions, viewing  # noqa: F401, PLC0415

    tokens = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(tokens, exit_on_error=False, print_error=True, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError:
        return Exit.USAGE
    except CommandError as error:
        sys.stderr.write(f"saga: {error}\n")
        return error.code
    except KeyboardInterrupt:
        return Exit.ERROR
    except BrokenPipeError:
        return _closed_pipe()
    except OSError as error:
        if error.errno not in _DISK_IS_FULL:
            raise
        sys.stderr.write(f"saga: the output can't be written: {error.strerror}\n")
        return _closed_pipe()
    return code if isinstance(code, int) else Exit.WELL


def connected(service: Service) -> "tuple[Client, Output]":
    """Give the way to the service, and the form of the output."""
    from api.cli.client import Client  # noqa: PLC0415

    return Client(service.url), output_of(service)


def output_of(service: Service) -> "Output":
    """Give the form of the output."""
    from api.cli.output import Output  # noqa: PLC0415

    return Output(service.output)


def is_file(process: str) -> bool:
    """Say whether an exported file is meant: no id of a process has a dot or a slash."""
    return "." in process or "/" in process


def _closed_pipe() -> Exit:
    """End quietly where whoever reads our output (`| head`) has enough of it, or its disk is full."""
    # The interpreter flushes stdout at its end, and would complain there again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.ERROR
