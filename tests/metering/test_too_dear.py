"""One event beyond what the books can hold is refused by itself."""

from decimal import Decimal

import pytest

from billing.models import Customer
from metering.models import Price, UsageEvent
from metering.services.book_snapshot import count_up_version
from metering.services.proof import rederive_rollups
from tests.metering.conftest import JAN, open_terms
from tests.metering.sending import codes, event, send, tokens
from tests.metering.test_ingest_once import used

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("prices")]


@pytest.fixture
def gold(acme: Customer) -> None:
    """A model at the highest price that the book takes."""
    Price.objects.create(
        model="gold", mode="serverless", meter_id="images", price=Decimal(10) ** 17,
        effective_at=JAN, created_at=JAN, created_by="test",
    )  # fmt: skip
    count_up_version()
    open_terms(acme, discount="0")


def images(event_id: str, quantity: int) -> dict[str, object]:
    data = {"model": "gold", "mode": "serverless", "quantities": {"images": quantity}}
    return event(event_id, "usage", data)


@pytest.mark.usefixtures("gold")
def test_the_batch_lands_without_it(acme: Customer) -> None:
    """Two to the 53 images at ten to the 17 dollars do not fit the books' NUMERIC(38,12)."""
    result = send(tokens("a"), images("b", 2**53 - 1), tokens("c"), images("d", 0))
    assert codes(result) == [(1, "invalid_event")]
    assert "trillion" in result.refused[0].detail
    assert result.accepted == UsageEvent.objects.count() == 3
    assert used(acme) == 4
    assert codes(send(images("b", 2**53 - 1))) == [(0, "invalid_event")]
    assert rederive_rollups() == []


def test_many_that_are_dear_together_are_taken(acme: Customer) -> None:
    """The bound is on one event: a batch may add up to more."""
    Price.objects.create(
        model="gold", mode="serverless", meter_id="images", price=Decimal(10) ** 11,
        effective_at=JAN, created_at=JAN, created_by="test",
    )  # fmt: skip
    count_up_version()
    open_terms(acme, discount="0")
    assert send(*(images(f"e{number}", 9) for number in range(20))).accepted == 20
    assert used(acme) == Decimal(18) * 10**12
