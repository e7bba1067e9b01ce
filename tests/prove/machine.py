"""The machine: random contracts lived through by both sides, one rule a happening.

Hypothesis draws, so a seed replays exactly; a failing story is made smaller by
`tests.prove.shrinking`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from tests.oracle import happenings as told
from tests.oracle.quarters import boundary, months_later
from tests.oracle.terms import Commit
from tests.prove import contracts
from tests.prove.life import COUNTS, Party
from tests.prove.money_rules import MoneyRules
from tests.prove.twin import DAY, Twin
from tests.prove.usage_rules import UsageRules


class Machine(UsageRules, MoneyRules):
    """One contract. Rules draw what happens next and when."""

    @initialize(
        commit=st.one_of(
            contracts.signed_commits(), contracts.signed_commits(), contracts.uncommitted_terms()
        ),
        ahead=st.sampled_from([20 * DAY, DAY, timedelta(0), -DAY, -40 * DAY]),
        every_day=st.sampled_from([False, False, False, True]),
        lazy=st.booleans(),
        twice=st.sampled_from([False, False, True]),
        tax=st.sampled_from(["0", "0", "0.0825"]).map(Fraction),
        other=st.one_of(st.none(), st.none(), contracts.signed_commits()),
        apart=st.sampled_from([timedelta(0), 17 * DAY, -45 * DAY, 200 * DAY]),
    )
    def sign(
        self, commit: Commit, ahead: timedelta, every_day: bool, lazy: bool, twice: bool,
        tax: Fraction, other: Commit | None, apart: timedelta,
    ) -> None:  # fmt: skip
        """Prices, then a commit signed before its start or after; perhaps one of another customer
        on the same day."""
        self.twice = twice
        self.twin = Twin(every_day=every_day, lazy=lazy)
        at = boundary(commit, 1) - ahead
        for price in contracts.opening_book():
            self.twin.story.append(told.AddPrice(at=at, price=price))
            self.twin.world.apply(self.twin.story[-1])
            self.twin.product.apply(self.twin.story[-1])
            self.prices.add(("", price.model, price.mode, price.meter, price.effective_at))
        if tax:
            self.tell(told.Tax(at=at, share=tax))
        self.begin(commit, at)
        if other is not None:
            starts_on = commit.starts_on + apart
            self.begin(
                replace(
                    other, key="C", customer=contracts.CUSTOMERS[1], starts_on=starts_on,
                    overrides=(),
                ),
                at,
            )  # fmt: skip

    def begin(self, commit: Commit, at: datetime) -> None:
        """The first commit of a customer."""
        self.parties.append(Party(commit.customer, commit.discount))
        self.tell(told.Sign(at=at, commit=commit))

    @precondition(lambda self: len(self.parties) > 1)
    @rule()
    def another_customer(self) -> None:
        """What follows happens to the other customer."""
        self.turn = (self.turn + 1) % len(self.parties)

    @precondition(lambda self: self.party.signings < 3)
    @rule(
        commit=contracts.signed_commits(),
        quarters=st.sampled_from([0, 0, 0, 1, 2]),
        days=st.sampled_from([0, 0, 0, 0, 17]),
    )
    def sign_again(self, commit: Commit, quarters: int, days: int) -> None:
        """A renewal, or the first promise of a customer who made none; refused elsewhere."""
        former = self.commit
        if former.quarters is None:
            starts_on = self.now.date() + (days - 5) * timedelta(days=1 + quarters)
        else:
            months = (former.quarters + quarters) * 3
            starts_on = months_later(former.starts_on, months) + timedelta(days=days)
        renewed = replace(
            commit, key=self.name("B"), customer=self.customer, zone=former.zone,
            starts_on=starts_on, overrides=(),
        )  # fmt: skip
        self.party.signings += 1
        if self.tell(told.Sign(at=self.now, commit=renewed)) == "ok":
            self.party.best = renewed.discount
            self.party.asked.clear()

    @rule(days=st.sampled_from([1, 2, 7, 31, 60]))
    def wait(self, days: int) -> None:
        """Some days pass."""
        self.tell(told.Advance(at=self.now + days * DAY))

    @rule(hours=st.sampled_from([-1, 0, 1, 40, 24 * 4, 24 * 5, 24 * 47]))
    def to_the_end(self, hours: int) -> None:
        """To just before or after the end of the running quarter."""
        end = next((slot.end for slot in self.slots()), boundary(self.commit, 1))
        self.tell(told.Advance(at=max(self.now, end + timedelta(hours=hours))))


__all__ = ["COUNTS", "Machine"]
