"""A trip: hotel, car and flight at once, then the payment, from which nothing turns back."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from saga import Retry, Saga, Step


class Trip(BaseModel):
    """Hold what a trip is booked with; `fail_at` names a service that refuses, to show the way back."""

    model_config = ConfigDict(extra="forbid")

    trip_id: str
    price: float = 100.0
    fail_at: Literal["hotel", "car", "flight", "payment"] | None = None


trip_booking = Saga(
    "trip_booking",
    parameters=Trip,
    retry=Retry(attempts=3, backoff=0.2, max_backoff=5),
    timeout=10,
    steps=[
        Step("hotel", service="hotel", action="book", compensation="cancel", after=[], expected=0.5),
        Step("car", service="car", action="rent", compensation="return", after=[], expected=0.5),
        Step("flight", service="flight", action="book", compensation="cancel", after=[], expected=1),
        Step(
            "payment",
            service="payment",
            action="charge",
            after=["hotel", "car", "flight"],
            pivot=True,
            expected=0.5,
        ),
    ],
)
