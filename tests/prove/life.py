"""What the rules of the machine share: the contract on both sides, and what there is to draw from.

Each contract lives in a database transaction that is given up at its end.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from datetime import datetime, timedelta
from fractions import Fraction

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from tests.oracle import happenings as told
from tests.oracle.facts import Chain
from tests.oracle.quarters import Slot
from tests.oracle.rating import chain_slots
from tests.oracle.terms import Commit
from tests.prove.database import given_up
from tests.prove.order import check_order
from tests.prove.twin import DAY, Twin

COUNTS: Counter[str] = Counter()

# Most steps move time on, or a contract of thirty steps would seldom see its second close.
pauses = st.sampled_from(
    [timedelta(0), timedelta(minutes=7), timedelta(hours=5), DAY, timedelta(days=3, hours=2),
     20 * DAY, 45 * DAY]
)  # fmt: skip


class Life(RuleBasedStateMachine):
    """One contract as lived so far."""

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        self.resources.enter_context(given_up())
        self.twin = Twin()
        self.events: list[told.Use] = []
        self.asked: list[str] = []
        self.prices: set[tuple[object, ...]] = set()  # whose, for what, since when
        self.best = Fraction(0)
        self.names = 0
        self.twice = False
        self.signings = 0

    # --- What there is -----------------------------------------------------------------------
    @property
    def now(self) -> datetime:
        assert self.twin.now is not None
        return self.twin.now

    @property
    def chain(self) -> Chain:
        return self.twin.world.facts.chains[-1]

    @property
    def commit(self) -> Commit:
        return self.chain.commits[-1]

    def name(self, what: str) -> str:
        self.names += 1
        return f"{what}{self.names}"

    def tell(self, happening: told.Happening) -> str:
        """One step, counted."""
        answer = self.twin.apply(happening)
        COUNTS["steps"] += 1
        COUNTS[type(happening).__name__] += 1
        return answer

    def slots(self) -> list[Slot]:
        """The quarters of all chains that have begun, newest first."""
        facts = self.twin.world.facts
        found = [slot for chain in facts.chains for slot in chain_slots(facts, chain)]
        return [slot for slot in reversed(found) if slot.start <= self.now]

    def moment(self, quarters_back: int, place: int) -> datetime:
        """An instant inside a quarter that has begun, not after now."""
        slots = self.slots()
        if not slots:
            return self.now - timedelta(hours=place)
        slot = slots[min(quarters_back, len(slots) - 1)]
        until = min(slot.end - timedelta(microseconds=1), self.now)
        return slot.start + (until - slot.start) * place / 1000

    def teardown(self) -> None:
        with self.resources:
            if self.twin.now is not None:
                self.twin.finish()
            COUNTS["contracts"] += 1
        if self.twice and self.twin.failed is None:
            COUNTS["told again in another order"] += check_order(self.twin)
