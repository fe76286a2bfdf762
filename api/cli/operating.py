"""The commands that act on processes, and their options; each loads what it needs when it runs."""

from typing import Annotated, Literal

from cyclopts import Parameter

from api.cli.app import ALL, AS_TABLE, HERE, Chosen, Printed, Service, app, connected
from api.cli.outcome import CommandError, Exit
from saga.messages.json_text import Json, JsonObject

Reason = Annotated[str, Parameter(help="Why; it stands in the log with who asked.")]
Key = Annotated[str | None, Parameter(help="An idempotency key: repeating is safe.")]
StepName = Annotated[str | None, Parameter(help="The step, or one of its items: name[3].")]
TypeName = Annotated[str | None, Parameter(name=["--type"], help="All of a type instead.")]
Outcome = Annotated[Literal["completed", "failed"], Parameter(help="What became of it.")]
OutputValue = Annotated[
    str | None,
    Parameter(
        name=["--output-value"],
        allow_leading_hyphen=True,
        help="The output that it gave: JSON, or else a string.",
    ),
]


@app.command
def cancel(process_id: str, /, *, reason: Reason, key: Key = None, service: Service = HERE) -> Exit:
    """Turn a process back: what was done is undone."""
    return _ask("cancel", process_id, service, reason=reason, key=key)


@app.command
def compensate(process_id: str, /, *, reason: Reason, key: Key = None, service: Service = HERE) -> Exit:
    """Undo a process, also one that completed."""
    return _ask("compensate", process_id, service, reason=reason, key=key)


@app.command
def rerun(  # noqa: PLR0913 - one per option
    process_id: str,
    /,
    *,
    from_: Annotated[str, Parameter(name=["--from"], help="The first step that is done again.")],
    parameter: Annotated[
        tuple[str, ...],
        Parameter(
            name=["--parameter", "-p"], negative="", help="key=value in the place of the old parameter."
        ),
    ] = (),
    parameters: Annotated[
        str | None, Parameter(allow_leading_hyphen=True, help="A file with such parameters; - is stdin.")
    ] = None,
    without: Annotated[
        tuple[str, ...], Parameter(negative="", help="Leave out this old parameter; several times.")
    ] = (),
    reason: Annotated[str | None, Parameter(help="Why; it stands in both logs.")] = None,
    key: Key = None,
    callback_url: Annotated[
        str | None, Parameter(help="An address that the new process calls back; the old one's is not kept.")
    ] = None,
    watch: Annotated[bool, Parameter(negative="", help="Watch the new process until it ends.")] = False,
    service: Service = HERE,
) -> Exit:
    """Begin a new process that keeps what this one did before a step."""
    from api.cli import acting, arguments, rerunning  # noqa: PLC0415

    client, output = connected(service)
    return rerunning.rerun(
        client,
        output,
        process_id=process_id,
        step=from_,
        parameters=arguments.parameters(parameters, parameter),
        without=without,
        callback_url=callback_url,
        request=acting.Request(reason or f"rerun from {from_}", key=key),
        follow=watch,
    )


@app.command
def pause(
    process_id: str | None = None,
    /,
    *,
    reason: Reason,
    process_type: TypeName = None,
    key: Key = None,
    service: Service = HERE,
) -> Exit:
    """Send nothing more for a process, or for all of a type, until it is resumed."""
    return _ask_one_or_type("pause", process_id, process_type, service, reason=reason, key=key)


@app.command
def resume(
    process_id: str | None = None,
    /,
    *,
    reason: Reason,
    process_type: TypeName = None,
    key: Key = None,
    service: Service = HERE,
) -> Exit:
    """Go on with a process that is paused, or with all of a type."""
    return _ask_one_or_type("resume", process_id, process_type, service, reason=reason, key=key)


@app.command
def retry(
    process_id: str, /, *, reason: Reason, step: StepName = None, key: Key = None, service: Service = HERE
) -> Exit:
    """Give what is stuck a whole new budget of attempts."""
    return _ask("retry", process_id, service, reason=reason, step=step, key=key)


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
    return _ask("skip", process_id, service, reason=reason, step=step, output_value=output_value, key=key)


@app.command
def resolve(
    process_id: str,
    /,
    *,
    reason: Reason,
    outcome: Outcome,
    step: StepName = None,
    output_value: OutputValue = None,
    key: Key = None,
    service: Service = HERE,
) -> Exit:
    """State what became of a step of which nobody knows."""
    words = {"step": step, "outcome": outcome, "output_value": output_value}
    return _ask("resolve", process_id, service, reason=reason, key=key, **words)


@app.command
def fail(process_id: str, /, *, reason: Reason, key: Key = None, service: Service = HERE) -> Exit:
    """Give up a process that stands still, as it stands."""
    return _ask("fail", process_id, service, reason=reason, key=key)


@app.command
def bulk(  # noqa: PLR0913 - one per option
    action: Literal["cancel", "pause", "resume", "retry", "skip", "resolve", "compensate", "fail"],
    /,
    *,
    reason: Reason,
    chosen: Chosen = ALL,
    step: StepName = None,
    outcome: Annotated[
        Literal["completed", "failed"] | None, Parameter(help="For resolve: what became of it.")
    ] = None,
    output_value: OutputValue = None,
    key: Key = None,
    yes: Annotated[bool, Parameter(negative="", help="Don't ask.")] = False,
    service: Service = HERE,
) -> Exit:
    """Do one of the actions to all processes that match, once they are counted and somebody said yes."""
    from api.cli import acting, arguments  # noqa: PLC0415

    members: JsonObject = {
        "status": list[Json](chosen.status),
        "process_type": chosen.process_type,
        "label": dict[str, Json](arguments.labels(chosen.label)),
        "attention": chosen.attention or None,
        "started_after": chosen.started_after,
        "started_before": chosen.started_before,
    }
    said = {name: value for name, value in members.items() if value}
    if not said:
        raise CommandError(
            Exit.USAGE, "say which processes are meant: --status, --type, --label or --attention"
        )
    request = acting.Request(reason, step, outcome, arguments.output(output_value), key)
    client, output = connected(service)
    return acting.act_on_all(client, output, action=action, chosen=said, request=request, is_sure=yes)


@app.command
def redrive(
    process_id: str | None = None,
    /,
    *,
    chosen: Chosen = ALL,
    dry_run: Annotated[bool, Parameter(negative="", help="Only say what would be published.")] = False,
    printed: Printed = AS_TABLE,
) -> Exit:
    """Publish again the commands that are outstanding, of one process, or of all that match.

    It works on the store and the broker that the SAGA_ settings name, also beside servers that run.
    """
    from api.cli import redrives  # noqa: PLC0415
    from api.cli.output import Output  # noqa: PLC0415

    if process_id is not None and chosen != ALL:
        raise CommandError(Exit.USAGE, "name a process, or what to choose them by")
    return redrives.redrive(Output(printed.output), process_id, redrives.filter_of(chosen), dry_run=dry_run)


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

    if refuse is not None and output_value is not None:
        raise CommandError(Exit.USAGE, "--refuse takes no --output-value")
    client, output = connected(service)
    result = arguments.output(output_value)
    return acting.signal(client, output, command_id=command_id, result=result, refusal=refuse)


def _ask(
    action: str,
    process_id: str,
    service: Service,
    *,
    reason: str,
    key: str | None,
    step: str | None = None,
    outcome: str | None = None,
    output_value: str | None = None,
) -> Exit:
    from api.cli import acting, arguments  # noqa: PLC0415

    request = acting.Request(reason, step, outcome, arguments.output(output_value), key)
    client, output = connected(service)
    return acting.act(client, output, action=action, process_id=process_id, request=request)


def _ask_one_or_type(
    action: str,
    process_id: str | None,
    process_type: str | None,
    service: Service,
    *,
    reason: str,
    key: str | None,
) -> Exit:
    from api.cli import acting  # noqa: PLC0415

    if process_id is not None and process_type is None:
        return _ask(action, process_id, service, reason=reason, key=key)
    if process_id is not None or process_type is None:
        raise CommandError(Exit.USAGE, "name a process, or a type with --type")
    request = acting.Request(reason, key=key)
    client, output = connected(service)
    return acting.act_on_type(client, output, action=action, process_type=process_type, request=request)
