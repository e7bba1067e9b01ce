"""Usage: in time, late, again, taken back, in batches."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.oracle import happenings as told
from tests.oracle.closing import open_slot
from tests.prove import contracts
from tests.prove.life import Life, pauses
from tests.prove.twin import DAY

places = st.one_of(st.sampled_from([0, 1000]), st.integers(0, 1000))
back = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3])
sizes = st.sampled_from(["0.000001", "0.001", "0.3", "1", "2.5", "7", "20", "100"]).map(Fraction)
uses = st.one_of(
    st.sampled_from(contracts.USES),
    st.sampled_from(contracts.USES),
    st.sampled_from([*contracts.USES, contracts.UNPRICED, contracts.UNPRICED, contracts.TUNED]),
)


UNPRICED = (contracts.UNPRICED[0], contracts.TUNED[0])


class UsageRules(Life):
    """What agents report."""

    def use_of(
        self, what: tuple[str, str, tuple[str, ...], int], size: Fraction, when: datetime
    ) -> told.Use:
        model, mode, meters, dollar = what
        units = int(dollar * size) + 1
        quantities = tuple((meter, units + place) for place, meter in enumerate(meters))
        return told.Use(
            at=self.now, customer=self.customer, id=self.name("e"), occurred_at=when,
            model=model, mode=mode, quantities=quantities,
        )  # fmt: skip

    @rule(what=uses, size=sizes, quarters=back, place=places, pause=pauses)
    def use(
        self, what: tuple[str, str, tuple[str, ...], int], size: Fraction, quarters: int,
        place: int, pause: timedelta,
    ) -> None:  # fmt: skip
        """Usage in time or late."""
        event = self.use_of(what, size, self.moment(quarters, place))
        event = replace(event, at=self.now + pause)
        self.tell(event)
        self.party.events.append(event)

    @rule(parts=st.lists(st.tuples(uses, sizes, places), min_size=2, max_size=3), pause=pauses)
    def burst(
        self, parts: list[tuple[tuple[str, str, tuple[str, ...], int], Fraction, int]],
        pause: timedelta,
    ) -> None:  # fmt: skip
        """Several events of the running quarter, each in a request of its own."""
        self.tell(told.Advance(at=self.now + pause))
        for what, size, place in parts:
            event = self.use_of(what, size, self.moment(0, place))
            self.tell(event)
            self.party.events.append(event)

    @rule(what=uses, size=sizes, seconds=st.sampled_from([1, 299, 300, 301]))
    def use_ahead(
        self, what: tuple[str, str, tuple[str, ...], int], size: Fraction, seconds: int
    ) -> None:
        """Usage from a clock that goes fast; more than five minutes is refused."""
        event = self.use_of(what, size, self.now + timedelta(seconds=seconds))
        if self.tell(event) == "ok":
            self.party.events.append(event)

    @precondition(lambda self: self.party.events)
    @rule(which=st.integers(0, 99), more=st.sampled_from([0, 0, 1]))
    def again(self, which: int, more: int) -> None:
        """The same id again: a duplicate, or a conflict where the content differs."""
        event = self.party.events[which % len(self.party.events)]
        meter, quantity = event.quantities[0]
        changed = ((meter, quantity + more), *event.quantities[1:])
        self.tell(replace(event, at=self.now, quantities=changed))

    @precondition(lambda self: len(self.parties) > 1)
    @rule(which=st.integers(0, 99))
    def same_of_another(self, which: int) -> None:
        """An event of another customer under the same id has nothing to do with it."""
        events = [one for party in self.parties for one in party.events]
        if events:
            event = events[which % len(events)]
            event = replace(event, at=self.now, customer=self.customer)
            if self.tell(event) == "ok":
                self.party.events.append(event)

    @precondition(lambda self: self.party.events)
    @rule(which=st.integers(0, 99), pause=pauses)
    def void(self, which: int, pause: timedelta) -> None:
        """An event is taken back; a second time is a conflict."""
        event = self.party.events[which % len(self.party.events)]
        self.tell(
            told.Void(
                at=self.now + pause,
                customer=self.customer,
                id=self.name("v"),
                target_id=event.id,
            )
        )

    @precondition(lambda self: self.party.events)
    @rule(which=st.integers(0, 99), what=st.one_of(st.none(), uses), size=sizes, pause=pauses)
    def correct(
        self, which: int, what: tuple[str, str, tuple[str, ...], int] | None, size: Fraction,
        pause: timedelta,
    ) -> None:  # fmt: skip
        """Finance takes an event back, perhaps with another in its place."""
        event, at = self.party.events[which % len(self.party.events)], self.now + pause
        instead = None
        if what is not None:
            instead = replace(self.use_of(what, size, event.occurred_at), at=at)
        told_so = told.Correct(at=at, customer=self.customer, target_id=event.id, instead=instead)
        if self.tell(told_so) == "ok" and instead is not None:
            self.party.events.append(instead)

    @precondition(lambda self: self.unpriced())
    @rule(which=st.integers(0, 99))
    def waive(self, which: int) -> None:
        """Finance gives up what waits of an event; refused where nothing waits any more."""
        waiting = self.unpriced()
        self.tell(
            told.Waive(at=self.now, customer=self.customer, id=waiting[which % len(waiting)].id)
        )

    @precondition(lambda self: open_slot(self.twin.world.facts, self.chain) is not None)
    @rule(
        parts=st.lists(st.tuples(uses, sizes, back, places), max_size=2),
        void=st.one_of(st.none(), st.integers(0, 99)),
        wait=st.booleans(),
    )
    def approve_close(
        self, parts: list[tuple[tuple[str, str, tuple[str, ...], int], Fraction, int, int]],
        void: int | None, wait: bool,
    ) -> None:  # fmt: skip
        """Finance approves the close of the open quarter, and usage arrives before it is posted."""
        slot = open_slot(self.twin.world.facts, self.chain)
        assert slot is not None
        due = slot.end + slot.commit.grace
        if wait and self.now < due < self.now + 100 * DAY:
            self.tell(told.Advance(at=due))
        found = open_slot(self.twin.world.facts, self.chain)
        if found is None:
            return
        events: list[told.Use | told.Void] = [
            self.use_of(what, size, self.moment(quarters, place))
            for what, size, quarters, place in parts
        ]
        if void is not None and self.party.events:
            target = self.party.events[void % len(self.party.events)].id
            events.append(
                told.Void(at=self.now, customer=self.customer, id=self.name("v"), target_id=target)
            )
        approved = told.ApproveClose(
            at=self.now, commit=found.commit.key, quarter=found.index, meanwhile=tuple(events)
        )
        if self.tell(approved) == "ok":
            self.party.events += [one for one in events if isinstance(one, told.Use)]

    def unpriced(self) -> list[told.Use]:
        """Events that had no price when they came."""
        return [one for one in self.party.events if one.model in UNPRICED]

    @rule(
        parts=st.lists(st.tuples(uses, sizes, back, places), min_size=1, max_size=3),
        void=st.booleans(),
        old=st.integers(-3, 99),
    )
    def batch(
        self, parts: list[tuple[tuple[str, str, tuple[str, ...], int], Fraction, int, int]],
        void: bool, old: int,
    ) -> None:  # fmt: skip
        """Several events in one request; a void may stand before its target."""
        events: list[told.Use | told.Void] = [
            self.use_of(what, size, self.moment(quarters, place))
            for what, size, quarters, place in parts
        ]
        targets = [events[0].id] if void else []
        if old >= 0 and self.party.events:
            targets.append(self.party.events[old % len(self.party.events)].id)
        voids: list[told.Use | told.Void] = [
            told.Void(at=self.now, customer=self.customer, id=self.name("v"), target_id=target)
            for target in targets
        ]
        self.tell(told.Batch(at=self.now, events=(*voids, *events)))
        self.party.events += [one for one in events if isinstance(one, told.Use)]
