"""Prices, true-ups, credits and invoices: what finance does."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.oracle import happenings as told
from tests.oracle.quarters import months_later
from tests.oracle.terms import Price
from tests.prove import contracts
from tests.prove.life import Life, pauses
from tests.prove.twin import DAY


class MoneyRules(Life):
    """What finance does."""

    @rule(
        key=st.sampled_from([
            *[row[:3] for row in contracts.PRICED],
            ("llama", "batch", "input_tokens"), ("qwen", "serverless", "cached_input_tokens"),
            *[(model, "serverless", "input_tokens") for model in ("new", "new", "tuned")],
            ("tuned", "batch", "output_tokens"),
        ]),
        price=contracts.prices,
        hours=st.sampled_from([-24 * 400, -24 * 100, -24, -1, 0, 1, 30, 24 * 50]),
        whose=st.sampled_from(["everybody's", "the customer's", "the commit's"]),
    )  # fmt: skip
    def price(self, key: tuple[str, str, str], price: Fraction, hours: int, whose: str) -> None:
        """A list price, a private one or an override, from a whole hour on; refused where it
        changes amounts."""
        at = contracts.hour_of(self.now) + hours * contracts.HOUR
        agreed = {(p.model, p.mode, p.meter) for p in self.commit.overrides}
        own = whose == "the commit's"
        owner = {"the customer's": self.customer, "the commit's": self.commit.key}.get(whose, "")
        if (owner, *key, at) in self.prices or (own and key in agreed):
            return
        self.prices.add((owner, *key, at))
        added = Price(model=key[0], mode=key[1], meter=key[2], price=price, effective_at=at)
        if own:
            self.tell(told.AddOverride(at=self.now, commit=self.commit.key, price=added))
        elif whose == "the customer's":
            self.tell(told.AddPrivatePrice(at=self.now, customer=owner, price=added))
        else:
            self.tell(told.AddPrice(at=self.now, price=added))

    @precondition(lambda self: self.commit.committed)
    @rule(
        amount=contracts.cents.filter(bool),
        first=st.sampled_from([None, None, 1, 2, 3]),
        through=st.sampled_from([None, None, 2, 3]),
        better=st.sampled_from([None, None, Fraction(1, 20)]),
        hours=st.sampled_from([None, 2, 24 * 20]),
        bill_now=st.booleans(),
        pause=pauses,
        wait=st.sampled_from([None, timedelta(0), 2 * DAY]),
    )
    def ask_true_up(
        self, amount: Fraction, first: int | None, through: int | None, better: Fraction | None,
        hours: int | None, bill_now: bool, pause: timedelta, wait: timedelta | None,
    ) -> None:  # fmt: skip
        """Somebody asks for more; finance approves soon, or perhaps some day."""
        key, at = self.name("t"), self.now + pause
        discount = effective = None
        if better is not None and self.party.best + better < 1:
            discount = self.party.best = self.party.best + better
            if hours is not None:
                effective = contracts.hour_of(at) + hours * contracts.HOUR
        answer = self.tell(
            told.RequestTrueUp(
                at=at,
                commit=self.commit.key,
                key=key,
                amount=amount,
                from_quarter=first,
                through_quarter=through,
                discount=discount,
                effective_at=effective,
                bill_now=bill_now,
            )
        )
        if answer == "ok" and wait is None:
            self.party.asked.append(key)
        elif answer == "ok" and wait is not None:
            self.tell(told.ApproveTrueUp(at=self.now + wait, key=key))

    @precondition(lambda self: self.party.asked)
    @rule(pause=pauses)
    def approve_true_up(self, pause: timedelta) -> None:
        """Finance approves the oldest request."""
        self.tell(told.ApproveTrueUp(at=self.now + pause, key=self.party.asked.pop(0)))

    @rule(
        amount=contracts.cents.filter(bool),
        quarter=st.sampled_from([None, None, 1, 2]),
        days=st.sampled_from([None, None, -20, 1, 30, 400]),
        rolls=st.booleans(),
        pause=pauses,
    )
    def credit(
        self, amount: Fraction, quarter: int | None, days: int | None, rolls: bool,
        pause: timedelta,
    ) -> None:  # fmt: skip
        """A credit, perhaps with an own end, perhaps rolling."""
        self.tell(told.Advance(at=self.now + pause))
        expires = None if days is None else contracts.hour_of(self.now) + days * DAY
        if quarter is not None and quarter > (self.commit.quarters or 0):
            quarter = None
        self.tell(
            told.Credit(
                at=self.now,
                commit=self.commit.key,
                key=self.name("c"),
                amount=amount,
                quarter=quarter,
                expires_at=expires,
                rolls_over=rolls,
            )
        )

    def _some_invoice(self, which: int, *states: str) -> int | None:
        facts = self.twin.world.facts
        found = [
            one.number for one in facts.invoices if one.state in states and not one.written_off
        ]
        return found[which % len(found)] if found else None

    @rule(which=st.integers(0, 9), outside=st.booleans(), pause=pauses)
    def pay(self, which: int, outside: bool, pause: timedelta) -> None:
        """An invoice is paid, perhaps one that was given up already."""
        number = self._some_invoice(which, "finalized", "uncollectible")
        if number is not None:
            through = "bank" if outside else "stripe"
            self.tell(told.Pay(at=self.now + pause, invoice=number, through=through))

    @rule(which=st.integers(0, 9))
    def void_or_reissue(self, which: int) -> None:
        """A voided invoice is issued again, or else an unpaid one voided."""
        number = self._some_invoice(which, "void")
        if number is not None:
            self.tell(told.Reissue(at=self.now, invoice=number))
            return
        number = self._some_invoice(which, "finalized", "uncollectible")
        if number is not None:
            self.tell(told.VoidInvoice(at=self.now, invoice=number))

    @precondition(lambda self: not self.twin.product.unsettled())
    @rule(which=st.integers(0, 9), for_good=st.booleans(), again=st.booleans())
    def give_up(self, which: int, for_good: bool, again: bool) -> None:
        """Nobody will pay: an invoice is uncollectible, or it is voided and written off."""
        number = self._some_invoice(which, "finalized")
        if number is not None and not for_good:
            self.tell(told.Uncollectible(at=self.now, invoice=number))
            return
        number = self._some_invoice(which, "void", "finalized", "uncollectible")
        if number is None:
            return
        if self.twin.world.facts.invoices[number - 1].state != "void":
            self.tell(told.VoidInvoice(at=self.now, invoice=number))
        self.tell(told.WriteOff(at=self.now, invoice=number))
        if again:
            self.tell(told.Reissue(at=self.now, invoice=number))

    @rule(which=st.integers(0, 9), part=st.sampled_from([1, 3, 10, 10, 11]), usage=st.booleans(),
          pause=pauses)  # fmt: skip
    def take_back(self, which: int, part: int, usage: bool, pause: timedelta) -> None:
        """A credit note over some tenths of what an invoice billed."""
        invoices = self.twin.world.facts.invoices
        if not invoices:
            return
        invoice = invoices[which % len(invoices)]
        cents = max(1, invoice.creditable(usage=usage) * part // 10)
        self.tell(
            told.TakeBack(at=self.now + pause, invoice=invoice.number, cents=cents, usage=usage)
        )

    @rule(back=st.integers(0, 5), more=st.booleans())
    def lock(self, back: int, more: bool) -> None:
        """Finance locks a month, and perhaps the one before it as well."""
        for months in range(back, back + 1 + more):
            month = months_later(self.now.date().replace(day=1), -months)
            self.tell(told.LockMonth(at=self.now, month=month))

    @rule(which=st.integers(0, 9))
    def unlock(self, which: int) -> None:
        """Two finance users unlock a month."""
        locked = sorted(self.twin.world.facts.locked)
        if locked:
            month = locked[which % len(locked)]
            self.tell(told.UnlockMonth(at=self.now, month=month))
