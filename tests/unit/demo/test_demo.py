"""The sagas of the demo with its real participants, in the harness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api.demo.participants import demo_participants
from api.demo.trip_booking import trip_booking
from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from saga.testing import Harness

ANALYSIS = ROOT / "api" / "demo" / "document_analysis.yaml"


@pytest.fixture
def demo(saga_harness: Harness) -> Harness:
    """Give the demo, without its server."""
    saga_harness.load(trip_booking)
    saga_harness.load(ANALYSIS)
    saga_harness.serve(*demo_participants())
    return saga_harness


def test_a_trip_is_booked_in_the_time_of_two_services(demo: Harness) -> None:
    """Hotel, car and flight take their moment at once, the payment follows."""
    began = demo.now

    trip = demo.start("trip_booking", {"trip_id": "t1"}).ends()

    assert trip.status == "completed"
    assert 0.4 <= (demo.now - began).total_seconds() < 0.42


@pytest.mark.parametrize("service", ["hotel", "car", "flight", "payment"])
def test_a_trip_that_is_refused_is_undone(demo: Harness, service: str) -> None:
    """Wherever it is refused, every booking that was made is cancelled."""
    trip = demo.start("trip_booking", {"trip_id": "t1", "fail_at": service}).ends()

    assert trip.status == "compensated"
    assert trip.step(service).error_code == "refused"
    others = {"hotel", "car", "flight"} - {service}
    assert {trip.step(other).compensation for other in others} == {"compensated"}
