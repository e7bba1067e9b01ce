"""What the rules of the machine share: the contract on both sides, and what there is to draw from.

Each contract lives in a database transaction that is given up at its end.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from tests.oracle import happenings as told
from tests.oracle.facts import Chain
from tests.oracle.quarters import Slot
from tests.oracle.rating import customer_slots
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


@dataclass
class Party:
    """What there is of one customer: its events, its true-ups that wait, its best discount."""

    customer: str
    best: Fraction
    events: list[told.Use] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    signings: int = 0


class Life(RuleBasedStateMachine):
    """The contracts of one run as lived so far: of one customer, or of two by turns."""

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        self.resources.enter_context(given_up())
        self.twin = Twin()
        self.parties: list[Party] = []
        self.turn = 0
        self.prices: set[tuple[object, ...]] = set()  # whose, for what, since when
        self.names = 0
        self.twice = False

    # --- What there is -----------------------------------------------------------------------
    @property
    def now(self) -> datetime:
        assert self.twin.now is not None
        return self.twin.now

    @property
    def party(self) -> Party:
        """Whose turn it is."""
        return self.parties[self.turn]

    @property
    def customer(self) -> str:
        return self.party.customer

    @property
    def chain(self) -> Chain:
        chains = self.twin.world.facts.chains
        return [one for one in chains if one.commits[0].customer == self.customer][-1]

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
        """The customer's quarters that have begun, newest first."""
        found = customer_slots(self.twin.world.facts, self.customer)
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
