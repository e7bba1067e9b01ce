"""Late usage is billed over the late events alone, not over what was there in time."""

from decimal import Decimal

import pytest

from billing.models import Customer, InvoiceLine
from commits.models import Commit
from commits.services import closes
from tests.commits.world import at, use, void

pytestmark = pytest.mark.django_db(transaction=True)


def test_only_what_came_late_has_a_late_line(acme: Customer, commit: Commit) -> None:
    use(acme, "30000", "2026-02-10", now=at("2026-02-11"))
    closes.run_closes(as_of=at("2026-04-04"), now=at("2026-04-04"))
    use(acme, "0.75", "2026-02-12", now=at("2026-05-01"))
    closes.run_closes(as_of=at("2026-07-04"), now=at("2026-07-04"))
    late = InvoiceLine.objects.filter(kind="late_usage")
    assert list(late.values_list("quarter_index", "meter", "quantity", "amount_cents")) == [
        (1, "micros", Decimal(750_000), 75)
    ]


def test_usage_that_comes_after_a_void_has_a_line_of_its_own(
    acme: Customer, commit: Commit
) -> None:
    """What was voided is late no more: the same usage again counts as new."""
    use(acme, "30010", "2026-02-10", now=at("2026-02-11"))
    use(acme, "20", "2026-02-11", now=at("2026-02-11"), event_id="wrong")
    closes.run_closes(as_of=at("2026-04-04"), now=at("2026-04-04"))
    void(acme, "wrong", now=at("2026-05-01"))
    closes.run_closes(as_of=at("2026-07-04"), now=at("2026-07-04"))
    use(acme, "15", "2026-02-12", now=at("2026-08-01"))
    closes.run_closes(as_of=at("2026-10-04"), now=at("2026-10-04"))
    late = InvoiceLine.objects.get(kind="late_usage")
    assert (late.meter, late.quantity, late.amount_cents) == ("dollars", Decimal(15), 1_500)
