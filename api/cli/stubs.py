"""Write the beginning of a participant to a file that is not there yet."""

import sys
from pathlib import Path

from api.cli.outcome import CommandError, Exit
from api.cli.output import say
from saga.contract.stub import UnknownService, participant_stub
from saga.definition.sources import load_definitions


def write(service: str, source: str, file: str) -> Exit:
    """Write it. Raises CommandError, and InvalidDefinition."""
    try:
        text = participant_stub(service, load_definitions(source))
    except UnknownService as error:
        raise CommandError(Exit.NOT_FOUND, str(error)) from None
    if file == "-":
        sys.stdout.write(text)
        return Exit.WELL
    try:
        with Path(file).open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise CommandError(Exit.ERROR, f"{file} is there already: choose another with --file") from None
    except OSError as error:
        raise CommandError(Exit.ERROR, f"{file} can't be written: {error.strerror}") from None
    say(f"{file}: write its handlers, then run it with SAGA_AMQP_URL set")
    return Exit.WELL
