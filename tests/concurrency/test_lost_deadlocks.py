"""Who loses a deadlock tries again, and its caller never hears of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.concurrency.rest import settled
from tests.crash.harness import Nursery, World

pytestmark = pytest.mark.slow


def test_an_invoice_that_loses_a_deadlock_is_issued_all_the_same(
    nursery: Nursery, signed: World, serial: dict[str, Any]
) -> None:
    """A close books its entries in more than one step, so an issue may meet it in the other order;
    PostgreSQL ends one of the two."""
    with nursery.place(signed) as place:
        before = place.run("report", "true_up", "draw_down", "approve", "close")
        assert before.exits == [0], before.errors
        outcome = place.run_at_once([["against_the_order"], ["wait_a_moment", "push"]])
        assert outcome.exits == [0, 0], "\n".join(outcome.errors)
        assert place.run("deadlocks").answers[0] == [1]
        assert settled(place) == serial
