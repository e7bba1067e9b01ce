"""An uncommitted customer signs for a day in a period that is not open yet: it ends there too."""

from datetime import date
from decimal import Decimal

import pytest

from billing.domain.errors import Conflict
from billing.models import Customer
from commits.models import Quarter
from commits.services import daily
from tests.commits.world import at, figures, signed, use

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_last_period_is_opened_only_as_far_as_the_commit(acme: Customer) -> None:
    monthly = signed(acme, instalments=(), discount=Decimal(0), period_months=1)
    later = signed(acme, instalments=("100",), starts_on=date(2026, 3, 10), now=at("2026-01-02"))
    for day in ("2026-01-31", "2026-02-28", "2026-03-09", "2026-03-31"):
        daily.run_daily(now=at(day))
    use(acme, "5", "2026-03-15", now=at("2026-03-31"))
    last = Quarter.objects.filter(commit=monthly).latest("index")
    assert (last.index, last.ends_at) == (3, at("2026-03-10"))
    assert figures(later)[0] == ("100", "0", "5", "0", "0")


def test_a_second_commit_without_an_end_is_refused_however_late_it_starts(acme: Customer) -> None:
    signed(acme, instalments=(), discount=Decimal(0), period_months=1)
    with pytest.raises(Conflict, match="in force"):
        signed(acme, instalments=(), discount=Decimal(0), starts_on=date(2026, 9, 1))
