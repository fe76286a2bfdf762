"""Tests of the order and of the stock, without a broker, a store or a wait: `pytest examples/shop` runs them."""

from pathlib import Path

import pytest
import stock

from saga.testing import Harness, HarnessProcess


@pytest.fixture
def shop(saga_harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Harness:
    """Give the real participant `stock`, with a database of its own, and a billing that does as it is told."""
    monkeypatch.setattr(stock, "DATABASE", str(tmp_path / "stock.db"))
    saga_harness.load(Path(__file__).with_name("order.yaml"))
    saga_harness.serve(stock.stock)
    saga_harness.service("billing").on("charge").completes({"receipt": "r1"})
    return saga_harness


def order(shop: Harness, quantity: int = 2) -> HarnessProcess:
    return shop.start("order", {"item": "lamp", "quantity": quantity, "amount": 40})


def test_an_order_is_charged(shop: Harness) -> None:
    sold = order(shop).ends()

    assert sold.status == "completed"
    assert sold.step("charge").output == {"receipt": "r1"}


def test_a_declined_card_gives_the_goods_back(shop: Harness) -> None:
    shop.service("billing").on("charge").fails("card_declined").times(1).completes()

    assert order(shop, quantity=100).ends().status == "compensated"
    assert order(shop, quantity=100).ends().status == "completed", "all hundred are there again"


def test_what_is_not_there_is_not_sold(shop: Harness) -> None:
    refused = order(shop, quantity=101).ends()

    assert refused.status == "compensated"
    assert refused.step("reserve").error_code == "out_of_stock"
    assert shop.service("billing").commands == []


def test_a_billing_that_is_busy_is_asked_again(shop: Harness) -> None:
    shop.service("billing").on("charge").fails("busy", retryable=True).times(2).completes()

    assert order(shop).ends().step("charge").attempts == 3
