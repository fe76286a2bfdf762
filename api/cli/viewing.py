"""The commands that look at one process from another side, and their options; each loads what it needs."""

from typing import Annotated, Literal

from cyclopts import Parameter

from api.cli.app import HERE, Service, app, connected
from api.cli.outcome import Exit


@app.command
def undo_preview(process_id: str, /, *, service: Service = HERE) -> Exit:
    """Show the commands that compensate would send now, wave by wave, and what it could not undo."""
    from api.cli import views  # noqa: PLC0415 - loads only what runs

    return views.preview_undo(*connected(service), process_id)


@app.command
def timeline(process_id: str, /, *, service: Service = HERE) -> Exit:
    """Show what a process did when: its attempts, its undos, and what it waited for."""
    from api.cli import views  # noqa: PLC0415

    return views.timeline(*connected(service), process_id)


@app.command
def deliveries(
    process_id: str,
    /,
    *,
    retry: Annotated[
        int | None, Parameter(help="Send the delivery of the event with this number again.")
    ] = None,
    reason: Annotated[str | None, Parameter(help="Why; it stands in the log of the server.")] = None,
    service: Service = HERE,
) -> Exit:
    """Show what the callback address of a process was told, and how that went."""
    from api.cli import views  # noqa: PLC0415

    client, output = connected(service)
    if retry is not None:
        return views.retry_delivery(client, output, process_id, sequence=retry, reason=reason)
    return views.deliveries(client, output, process_id)


@app.command
def graph(
    process_id: str,
    /,
    *,
    language: Annotated[
        Literal["mermaid", "dot"], Parameter(name=["--format"], help="The language of the drawing.")
    ] = "mermaid",
    service: Service = HERE,
) -> Exit:
    """Draw the steps of a process as text, with where each stands; with --output json the nodes and edges."""
    from api.cli import views  # noqa: PLC0415

    return views.graph(*connected(service), process_id, language=language)
