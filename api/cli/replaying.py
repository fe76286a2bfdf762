"""The commands that ask the log, and their options; each loads what it needs when it runs."""

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
