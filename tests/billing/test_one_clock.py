"""The one clock: real outside a sandbox; in one it is set, shared, and never goes back."""

from datetime import UTC, datetime, timedelta

import pytest
from pytest_django.fixtures import Settings

from billing.domain.errors import Conflict, InvalidInput, NotFound
from billing.models import SandboxClock
from billing.services import clock
from tests.billing import cast

PAST = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def sandbox(db: None, settings: Settings) -> None:
    settings.SANDBOX = True


def set_to(to: datetime) -> datetime:
    return clock.set_sandbox_clock(to=to, real_now=clock.real_now())


def test_it_is_real_until_it_is_set_and_runs_on_from_there() -> None:
    assert abs(clock.now() - clock.real_now()) < timedelta(seconds=2)
    set_to(PAST)
    first = clock.now()
    assert PAST <= first < PAST + timedelta(seconds=5)
    assert clock.now() > first


def test_any_instant_while_there_is_no_customer_and_never_back_after_that() -> None:
    set_to(cast.NOW)
    set_to(PAST)
    cast.make_customer("acme")
    set_to(cast.NOW)
    with pytest.raises(Conflict) as refused:
        set_to(cast.NOW - timedelta(hours=1))
    assert refused.value.code == "clock_goes_back"
    assert clock.now() >= cast.NOW
    assert SandboxClock.objects.count() == 1


def test_a_real_clock_that_is_set_back_does_not_turn_it_back() -> None:
    SandboxClock.objects.create(shows=cast.NOW, set_at=clock.real_now() + timedelta(days=1))
    assert clock.now() == cast.NOW


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidInput):
        set_to(PAST.replace(tzinfo=None))


def test_outside_a_sandbox_there_is_no_such_clock(settings: Settings) -> None:
    set_to(PAST)
    settings.SANDBOX = False
    with pytest.raises(NotFound):
        set_to(cast.NOW)
    assert abs(clock.now() - clock.real_now()) < timedelta(seconds=2)
