"""Models of the messages on the broker: the one source of their JSON Schemas, and so of the AsyncAPI document.

They describe; they decode nothing. What comes in is read by `saga.messages`, which takes a little more than
this (unknown members, an error without a code): whoever follows the models is always understood.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from saga.messages.command import NAME_PATTERN
from saga.messages.control import REASON_MAX, REQUEST_ID_MAX
from saga.messages.reply import CODE_MAX, MESSAGE_MAX, RETRY_AFTER_MAX_S
from saga.messages.start import CALLBACK_URL_MAX, KEY_MAX, LABEL_KEY_MAX, LABEL_VALUE_MAX, LABELS_MAX

_UUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"

Name = Annotated[str, Field(pattern=rf"^{NAME_PATTERN}$")]
CommandId = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9._~-]{1,128}$",
        description="One attempt of one effect. Opaque: send it back as it came.",
        examples=["01a20de9-1744-7114-924f-2df13013ba09.payment.a1"],
    ),
]
IdempotencyKey = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9._~-]{1,128}$",
        description="The same over all attempts of one effect: remember it beside what you did.",
        examples=["01a20de9-1744-7114-924f-2df13013ba09.payment.a"],
    ),
]
ProcessId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="The process.")]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Index = Annotated[int, Field(ge=0, description="Which item of a `for_each` step this is, from 0.")]
Attempt = Annotated[int, Field(ge=1, description="Which sending of this effect it is, from 1.")]


class Message(BaseModel):
    """Set what holds for every model: a reader ignores members that it does not know."""

    model_config = ConfigDict(extra="allow", frozen=True)


class StepCommand(Message):
    """What every order to a participant holds."""

    command_id: CommandId
    idempotency_key: IdempotencyKey
    process_id: ProcessId
    process_type: Name
    step: Name
    service: Annotated[Name, Field(description="Who carries it out: the queue is `saga.step.<service>`.")]
    action: Annotated[Name, Field(description="What to do; an unknown one is answered `failed`, for good.")]
    attempt: Attempt
    parameters: Annotated[
        dict[str, object],
        Field(description="What the definition maps for the step, else the parameters of the process."),
    ]
    results: Annotated[
        dict[str, object],
        Field(
            description="The outputs of the steps before it, by step; left out where the step has an `input`."
        ),
    ] = {}
    deadline: Annotated[
        Moment, Field(description="When the attempt times out. Advice: a command past it is still answered.")
    ]
    reply_key: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9._-]{1,128}$",
            description="What the routing key of the reply begins with; `step` always works too.",
            examples=["step", "step-1"],
        ),
    ]
    index: Index | None = None
    item: Annotated[object, Field(description="The item itself; only of a `for_each` step.")] = None


class ActionCommand(StepCommand):
    """An order to do something."""

    kind: Literal["action"]


class Compensates(Message):
    """The effect that is to be undone."""

    step: Name
    index: Annotated[int | None, Field(ge=0)]
    idempotency_key: IdempotencyKey
    output: Annotated[
        object, Field(description="What the action answered; null where nobody knows whether it happened.")
    ]


class CompensationCommand(StepCommand):
    """An order to undo something: acknowledged also where it never happened, and never done afterwards."""

    kind: Literal["compensation"]
    compensates: Compensates


class Verifies(Message):
    """The attempt that a question is about."""

    step: Name
    index: Annotated[int | None, Field(ge=0)]
    idempotency_key: IdempotencyKey
    command_id: CommandId
    attempt: Attempt


class VerifyCommand(StepCommand):
    """A question whether an attempt took effect: `completed` with its output, or `failed` with `not_found`."""

    kind: Literal["verify"]
    verifies: Verifies


class CompletedReply(Message):
    """The command took effect."""

    command_id: CommandId
    output: Annotated[
        object,
        Field(description='What later steps may use. An undo of nothing says `{"nothing_to_undo": true}`.'),
    ] = None


class ReplyError(Message):
    """Why a command failed."""

    code: Annotated[
        str,
        Field(
            min_length=1, max_length=CODE_MAX, description="A word that `retry_on` of a definition can name."
        ),
    ]
    message: Annotated[str, Field(max_length=MESSAGE_MAX, description="For people.")] = ""
    retryable: Annotated[
        bool, Field(description="Whether another attempt may succeed; false ends the step for good.")
    ] = True
    retry_after: Annotated[
        float, Field(ge=0, le=RETRY_AFTER_MAX_S, description="Seconds before which no attempt comes.")
    ] = 0
    effect_unknown: Annotated[
        bool, Field(description="True: something may have happened. Left out: nothing did.")
    ] = False


class FailedReply(Message):
    """The command failed, and nothing happened unless `effect_unknown` says so."""

    command_id: CommandId
    error: ReplyError


class ProgressReply(Message):
    """The participant is still at work: it moves the time-out of the attempt."""

    command_id: CommandId
    percent: Annotated[float | None, Field(ge=0, le=100)] = None
    message: Annotated[str | None, Field(max_length=MESSAGE_MAX, description="For people.")] = None


Label = Annotated[str, Field(max_length=LABEL_VALUE_MAX)]
LabelKey = Annotated[str, Field(min_length=1, max_length=LABEL_KEY_MAX)]


class ProcessStart(Message):
    """A request for a new process; a second one with its process_id, key or message id is a duplicate."""

    process_type: Name
    parameters: Annotated[dict[str, object], Field(description="Judged by the schema of the process type.")]
    process_id: Annotated[str | None, Field(pattern=_UUID, description="A UUID of your own.")] = None
    idempotency_key: Annotated[
        str | None,
        Field(pattern=rf"^[ -~]{{1,{KEY_MAX}}}$", description="Yours; within your `app_id`."),
    ] = None
    labels: Annotated[dict[LabelKey, Label] | None, Field(max_length=LABELS_MAX)] = None
    callback_url: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=CALLBACK_URL_MAX,
            description="An address that is told of its end; one that may not be called is a dead letter.",
        ),
    ] = None


class ProcessRequest(Message):
    """A request to a process; the last word of the routing key says which: cancel, pause, resume and so on."""

    process_id: ProcessId
    reason: Annotated[str, Field(max_length=REASON_MAX, description="Why; it stands in the log.")] = ""
    request_id: Annotated[
        str | None,
        Field(max_length=REQUEST_ID_MAX, description="Yours: a second request with it changes nothing."),
    ] = None
    step: Annotated[
        str | None,
        Field(
            pattern=rf"^{NAME_PATTERN}(\[(0|[1-9][0-9]{{0,5}})\])?$",
            description="The step, or `step[3]` for one of its items; for retry, skip and resolve.",
        ),
    ] = None
    output: Annotated[object, Field(description="The output that skip and resolve state.")] = None
    outcome: Annotated[
        Literal["completed", "failed"] | None, Field(description="What resolve says became of the step.")
    ] = None


class ProcessMigrate(Message):
    """A request that a process goes on by another version of its definition."""

    process_id: ProcessId
    definition: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="The hash of a stored version.")]
    reason: Annotated[str, Field(max_length=REASON_MAX)] = ""
    request_id: Annotated[str | None, Field(max_length=REQUEST_ID_MAX)] = None


class SentHeaders(Message):
    """The headers of everything that Batuta publishes."""

    traceparent: Annotated[
        str, Field(pattern=r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$", description="W3C trace context.")
    ]
    schema_version: Annotated[Literal[1], Field(alias="x-saga-schema")]


class LifeHeaders(SentHeaders):
    """The headers of life events: beside those of every message the attributes of CloudEvents."""

    specversion: Annotated[Literal["1.0"], Field(alias="cloudEvents:specversion")]
    id: Annotated[str, Field(alias="cloudEvents:id")]
    source: Annotated[str, Field(alias="cloudEvents:source")]
    type: Annotated[str, Field(alias="cloudEvents:type")]
    time: Annotated[Moment, Field(alias="cloudEvents:time")]


class DeadLetterHeaders(Message):
    """The headers of a message that could not be processed, beside its own; the body is as it came."""

    reason: Annotated[str, Field(alias="x-saga-reject-reason", description="A word; each is explained.")]
    detail: Annotated[str, Field(alias="x-saga-reject-detail", description="A sentence.")]
    first_seen: Annotated[Moment, Field(alias="x-saga-first-seen")]
    exchange: Annotated[str, Field(alias="x-saga-original-exchange")]
    routing_key: Annotated[str, Field(alias="x-saga-original-routing-key")]
