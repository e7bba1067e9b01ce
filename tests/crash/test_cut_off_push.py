"""A process that is cut off on an invoice's way to Stripe: one invoice there, one here.

Of a customer whom Stripe does not know yet, so this is the whole way. `LEDGER_CRASH=all` also runs
the moments that differ from the one before them by nothing that was sent.
"""

from __future__ import annotations

import pytest

from tests.crash.conftest import ALL, Printed
from tests.crash.harness import (
    Nursery,
    World,
    cut_off,
    every_moment,
    every_request,
    every_state,
)

# Many processes, on a machine that others may be using as well.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_way_to_stripe(nursery: Nursery, signed: World, printed: Printed) -> None:
    report = cut_off(nursery, signed, "push_one", every_moment if ALL else every_state)
    printed("push_one", report)
    assert report.failures == []


def test_finished_when_stripe_has_forgotten(
    nursery: Nursery, signed: World, printed: Printed
) -> None:
    """Nobody looks after it for 25 hours, and no key of ours is known to Stripe any more."""
    report = cut_off(
        nursery,
        signed,
        "push_one",
        every_moment if ALL else every_request,
        beat="beat_next_day",
    )
    printed("push_one, finished a day later", report)
    assert report.failures == []
