"""The commands about versions of a definition, and their options; each loads what it needs when it runs."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from api.cli.app import AS_TABLE, Pairs, Printed, app
from api.cli.outcome import CommandError, Exit

Statuses = Annotated[tuple[str, ...], Parameter(negative="", help="May be given several times.")]
TypeName = Annotated[
    str | None, Parameter(name=["--type"], help="The process type, where the source holds several.")
]
FromFile = Annotated[Path | None, Parameter(name=["--from"], help="An exported file, in place of the store.")]


@app.command
def impact(
    source: Annotated[str, Parameter(help="A file, or a Python module, with the version.")],
    /,
    *,
    process_type: TypeName = None,
    status: Statuses = (),
    file: FromFile = None,
    printed: Printed = AS_TABLE,
) -> Exit:
    """Say what a version of a definition would mean for the processes that are stored. Nothing is changed.

    Exit code 1 says that some that run could not go on by it.
    """
    from api.cli import impacts  # noqa: PLC0415 - loads only what runs
    from api.cli.output import Output  # noqa: PLC0415

    return impacts.impact(Output(printed.output), source, process_type, statuses=status, file=file)


@app.command(name="what-if")
def what_if(
    process_id: str,
    /,
    *,
    at: Annotated[int, Parameter(help="The number of the event whose message is replaced.")],
    message: Annotated[
        str, Parameter(help='A file with the other message: {"routing_key": ..., "body": ...}; - is stdin.')
    ],
    answers: Annotated[
        str | None,
        Parameter(help='A file: {"step": {"output": ...}, "step/compensation": {"error": {...}}}.'),
    ] = None,
    file: FromFile = None,
    printed: Printed = AS_TABLE,
) -> Exit:
    """Say what would have become of a process, had one message been another. Nothing is sent or stored.

    What follows is answered as it was then, else as --answers says, else not at all.
    """
    from api.cli import supposing  # noqa: PLC0415
    from api.cli.output import Output  # noqa: PLC0415

    return supposing.what_if(Output(printed.output), process_id, at, message, answers, file=file)


@app.command
def migrate(
    *process_ids: str,
    to: Annotated[str, Parameter(help="The version: a file, a Python module, or the hash of a stored one.")],
    process_type: TypeName = None,
    status: Statuses = (),
    label: Pairs = (),
    yes: Annotated[
        bool, Parameter(negative="", help="Move them; else it is only said what would be.")
    ] = False,
    reason: Annotated[str, Parameter(help="Why; it stands in the log with who asked.")] = "",
    printed: Printed = AS_TABLE,
) -> Exit:
    """Move processes that run to another version of their definition, where it fits them.

    It works on the store and the broker that the SAGA_ settings name. Exit code 1 says that some were refused.
    """
    from api.cli import arguments, migrations  # noqa: PLC0415
    from api.cli.output import Output  # noqa: PLC0415

    if yes and not reason:
        raise CommandError(Exit.USAGE, "--yes needs a --reason")
    chosen = migrations.Chosen(process_ids, status, arguments.labels(label))
    return migrations.migrate(Output(printed.output), to, process_type, chosen, reason=reason, is_sure=yes)
