"""The participant `payment` in plain Python with pika: charges and refunds, each once, whatever comes twice."""  # noqa: INP001 - a program, not a package

import json
import os
import sqlite3
import sys
import time
from typing import Any  # noqa: TID251 - JSON, as it came

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

URL = os.environ.get("SAGA_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
PREFIX = os.environ.get("SAGA_AMQP_PREFIX", "saga")
DATABASE = os.environ.get("PAYMENT_DATABASE", "payment.db")
QUEUE = f"{PREFIX}.step.payment"
CREDIT = 1000

Command = dict[str, Any]
Answer = dict[str, Any]  # {"output": …} or {"error": …}

db = sqlite3.connect(DATABASE, isolation_level=None)
# One row for each effect, by idempotency key: what it gave, or what its undo gave.
db.execute("CREATE TABLE IF NOT EXISTS effects (key TEXT PRIMARY KEY, output TEXT, undone TEXT)")


def charge(command: Command) -> Answer:
    """Charge once per key; not at all once it is undone."""
    key = command["idempotency_key"]
    row = db.execute("SELECT output, undone FROM effects WHERE key = ?", (key,)).fetchone()
    if row is not None:
        output, undone = row
        return (
            failure("undone", "it was refunded before it came") if undone else {"output": json.loads(output)}
        )
    amount = command.get("parameters", {}).get("amount")
    if isinstance(amount, bool) or not isinstance(amount, int | float) or amount <= 0:
        return failure("invalid_input", "amount is a number above 0")
    if amount > CREDIT:
        return failure("card_declined", f"{amount} is more than the card allows")
    (number,) = db.execute("SELECT count(*) + 1 FROM effects").fetchone()
    receipt = {"receipt": f"receipt-{number}"}
    # Here the effect is the row itself; else write both in this transaction.
    db.execute("INSERT INTO effects (key, output) VALUES (?, ?)", (key, json.dumps(receipt)))
    return {"output": receipt}


def refund(command: Command) -> Answer:
    """Refund what was charged; what was not is remembered, so that it never will be."""
    key = (command.get("compensates") or {}).get("idempotency_key")
    if not isinstance(key, str):
        return failure("invalid_input", "a compensation says what it undoes")
    row = db.execute("SELECT output, undone FROM effects WHERE key = ?", (key,)).fetchone()
    if row is not None and row[1]:
        return {"output": json.loads(row[1])}
    undone = {"refunded": json.loads(row[0])["receipt"]} if row else {"nothing_to_undo": True}
    db.execute(
        "INSERT INTO effects (key, undone) VALUES (?, ?) "
        "ON CONFLICT (key) DO UPDATE SET undone = excluded.undone",
        (key, json.dumps(undone)),
    )
    return {"output": undone}


def failure(code: str, message: str) -> Answer:
    """Say that it can't be done, that nothing happened, and that trying again would not help."""
    return {"error": {"code": code, "message": message, "retryable": False}}


def carry_out(command: Command) -> Answer:
    """Do what a command says, in one transaction."""
    kind, name = command.get("kind"), command.get("action")
    action = {"action charge": charge, "compensation refund": refund}.get(f"{kind} {name}")
    if action is None:
        return failure("unknown_action", f"payment has no {kind} {name}")
    db.execute("BEGIN IMMEDIATE")
    try:
        answer = action(command)
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
    return answer


def read(body: bytes) -> Command | None:
    """Read a command; None for what is none."""
    try:
        command = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(command, dict):
        return None
    is_command = all(isinstance(command.get(name), str) for name in ("command_id", "idempotency_key"))
    return command if is_command else None


def serve(channel: BlockingChannel) -> None:
    """Take commands; each is acknowledged only after its reply is confirmed."""
    channel.confirm_delivery()  # from now on publishing raises where no queue has the message
    channel.basic_qos(prefetch_count=10)
    # The same arguments as the orchestrator's: whoever comes first makes the queue.
    arguments = {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": f"{PREFIX}.dead",
        "x-delivery-limit": 1000,
    }
    channel.queue_declare(QUEUE, durable=True, arguments=arguments)
    sys.stderr.write("payment is ready\n")
    for method, _, body in channel.consume(QUEUE):
        command = read(body)
        if command is None:
            channel.basic_reject(method.delivery_tag, requeue=False)  # to the dead letters
            continue
        reply = {"command_id": command["command_id"], **carry_out(command)}
        word = "failed" if "error" in reply else "completed"
        channel.basic_publish(
            f"{PREFIX}.events",
            f"{command.get('reply_key', 'step')}.{word}",
            json.dumps(reply).encode(),
            pika.BasicProperties(
                content_type="application/json",
                delivery_mode=pika.DeliveryMode.Persistent,
                message_id=f"{command['command_id']}.{word}",
            ),
            mandatory=True,
        )
        channel.basic_ack(method.delivery_tag)


def main() -> None:
    """Serve for ever; what was not acknowledged when the connection went comes again."""
    while True:
        try:
            with pika.BlockingConnection(pika.URLParameters(URL)) as connection:
                serve(connection.channel())
        except (AMQPError, OSError) as error:
            sys.stderr.write(f"payment: {error!r}; connecting again\n")
        time.sleep(1)


if __name__ == "__main__":
    main()
