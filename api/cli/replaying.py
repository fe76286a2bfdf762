"""The commands that ask the log, and their options; each loads what it needs when it runs."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from api.cli.app import AS_TABLE, HERE, Among, Printed, Process, Service, app, connected, is_file, output_of
from api.cli.outcome import CommandError, Exit

All = Annotated[bool, Parameter(name=["--all"], negative="", help="Every process of the store.")]


@app.command
def replay(
    process: Annotated[str | None, Parameter(help="The id of a process, or an exported file.")] = None,
    /,
    *,
    every: All = False,
    repair: Annotated[
        bool, Parameter(negative="", help="Write the projections anew that are not what the log says.")
    ] = False,
    printed: Printed = AS_TABLE,
) -> Exit:
    """Fold processes from the log and say how their projections differ: exit code 1 where one does.

    It works on the store that the SAGA_ settings name, without a server.
    """
    from api.cli import replays  # noqa: PLC0415 - loads only what runs
    from api.cli.output import Output  # noqa: PLC0415

    if (process is None) is not every:
        raise CommandError(Exit.USAGE, "name a process or a file, or say --all")
    if process is not None and is_file(process):
        if repair:
            raise CommandError(Exit.USAGE, "a file has no projections: --repair works on the store")
        return replays.replay_file(Output(printed.output), process)
    return replays.replay(Output(printed.output), process, repair=repair)


@app.command
def verify(
    process: Annotated[
        str | None, Parameter(help="The id of a process, or an exported file; all of the store if left out.")
    ] = None,
    /,
    *,
    definition: Annotated[
        tuple[str, ...],
        Parameter(negative="", help="Judge the processes of its type by this definition instead."),
    ] = (),
    among: Among = None,
    printed: Printed = AS_TABLE,
) -> Exit:
    """Decide on the recorded messages anew, and report what is decided otherwise: exit code 1 where it is.

    It works on the store that the SAGA_ settings name, without a server, or on an exported file.
    """
    from api.cli import verifications  # noqa: PLC0415
    from api.cli.output import Output  # noqa: PLC0415

    file = process if process is not None and is_file(process) else None
    process_id = among if file is not None else process
    if file is None and among is not None:
        raise CommandError(Exit.USAGE, "--process names a process of a file")
    return verifications.verify(Output(printed.output), file, process_id, definitions=definition)


@app.command
def export(
    *process_ids: str,
    to: Annotated[Path | None, Parameter(help="The file to write; stdout if left out.")] = None,
    go_on: Annotated[
        bool, Parameter(name=["--resume"], negative="", help="Go on where the file of --to broke off.")
    ] = False,
) -> Exit:
    """Write processes with their definitions as JSON Lines: all of them, or those that are named.

    It works on the store that the SAGA_ settings name, without a server.
    """
    from api.cli import exchange  # noqa: PLC0415

    if go_on and to is None:
        raise CommandError(Exit.USAGE, "--resume needs the file of --to")
    return exchange.export(process_ids, to, resume=go_on)


@app.command(name="import")
def import_(
    file: Annotated[str, Parameter(allow_leading_hyphen=True, help="The file; - is stdin.")],
    /,
    *,
    printed: Printed = AS_TABLE,
) -> Exit:
    """Bring exported processes into a store; what is there already is left, so that repeating is safe.

    It works on the store that the SAGA_ settings name, without a server. Nothing is sent.
    """
    from api.cli import exchange  # noqa: PLC0415
    from api.cli.output import Output  # noqa: PLC0415

    return exchange.import_(Output(printed.output), file)


@app.command
def state(
    process: Process,
    /,
    *,
    at: Annotated[int, Parameter(help="The number of the event.")],
    among: Among = None,
    service: Service = HERE,
) -> Exit:
    """Show a process as it stood after one of its events."""
    if is_file(process):
        from api.cli import past  # noqa: PLC0415

        return past.state(output_of(service), process, among=among, number=at)
    from api.cli import commands  # noqa: PLC0415

    return commands.state(*connected(service), process, number=at)


@app.command
def diff(
    process: Process,
    first: Annotated[int, Parameter(help="The number of an event.")],
    second: Annotated[int, Parameter(help="The number of another.")],
    /,
    *,
    among: Among = None,
    service: Service = HERE,
) -> Exit:
    """Show what changed between two events of a process, as a JSON Patch (RFC 6902)."""
    if is_file(process):
        from api.cli import past  # noqa: PLC0415

        return past.difference(output_of(service), process, first, second, among=among)
    from api.cli import commands  # noqa: PLC0415

    return commands.difference(*connected(service), process, first, second)
