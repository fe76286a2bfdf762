"""A participant as a service of its own, for the tests that start one as a program."""

from saga.participant import Participant, run

hotel = Participant("hotel")


@hotel.handles("book")
def book(parameters: dict[str, str]) -> dict[str, str]:
    """Give back what was asked for."""
    return {"guest": parameters["guest"]}


if __name__ == "__main__":
    run(hotel)
