"""`saga service …`: the commands about participants; each loads what it needs."""

from typing import Annotated

from cyclopts import App, Parameter

from api.cli.app import HERE, Service, connected
from api.cli.outcome import CommandError, Exit

app = App(name="service", help="Look at the participants.", help_format="plaintext")


@app.command(name="list")
def list_(
    *,
    watch: Annotated[bool, Parameter(negative="", help="Show it anew every second, until Ctrl-C.")] = False,
    service: Service = HERE,
) -> Exit:
    """List the participants: how they are reached, what waits, how the calls of each address go."""
    from api.cli import service_tables  # noqa: PLC0415 - loads only what runs

    client, output = connected(service)
    if watch:
        if output != "table":
            raise CommandError(Exit.USAGE, "--watch is for a table")
        return service_tables.watch(client)
    return service_tables.list_all(client, output)
