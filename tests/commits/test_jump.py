"""The sandbox clock: a jump runs each skipped day, once and in order; it is no way to hang us."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.domain.errors import Conflict, InvalidInput
from billing.models import Customer, JobRun, SandboxClock
from billing.services import clock
from commits.models import Commit, Quarter
from commits.services import daily
from tests.commits.world import at, use

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def january(acme: Customer, commit: Commit) -> Commit:
    """The clock shows the first of January (it could be set back only before any customer)."""
    SandboxClock.objects.create(shows=at("2026-01-01"), set_at=datetime.now(UTC))
    JobRun.objects.create(job=daily.DAILY, due_at=at("2026-01-01"), finished_at=at("2026-01-01"))
    return commit


def test_a_jump_closes_what_falls_due_on_the_way(acme: Customer, january: Commit) -> None:
    use(acme, "12", "2025-12-31T23:00", now=at("2026-01-01"))
    daily.jump(to=at("2026-07-04"), real_now=datetime.now(UTC))
    posted = Quarter.objects.filter(commit=january, state="posted").order_by("index")
    assert [quarter.posted_at for quarter in posted] == [at("2026-04-04"), at("2026-07-04")]
    assert JobRun.objects.filter(job=daily.DAILY).count() == 1 + 184
    assert clock.now() - at("2026-07-04") < timedelta(minutes=1)


def test_a_jump_without_end_is_refused(january: Commit) -> None:
    with pytest.raises(InvalidInput) as refused:
        daily.jump(to=at("2036-01-01"), real_now=datetime.now(UTC))
    assert refused.value.code == "jump_too_far"
    assert clock.now() - at("2026-01-01") < timedelta(minutes=1)


def test_the_clock_does_not_go_back(january: Commit) -> None:
    with pytest.raises(Conflict) as refused:
        daily.jump(to=at("2025-12-31"), real_now=datetime.now(UTC))
    assert refused.value.code == "clock_goes_back"
