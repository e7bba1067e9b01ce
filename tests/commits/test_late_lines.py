"""Late usage is billed over the late events alone, not over what was there in time."""

from decimal import Decimal

import pytest

from billing.models import Customer, InvoiceLine
from commits.models import Commit
from commits.services import closes
from tests.commits.world import at, use

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
