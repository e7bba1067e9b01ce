"""The verbs of the short stories: one customer, the real services and daily jobs, no Stripe.

A unit of the meter `dollars` costs 1.25 list, so at 20 % off a story spends what it says. Time
passes by `until`, which runs the jobs of every midnight on which there can be something to do;
drafts are issued as Stripe would. Every table is checked against the proofs before it is shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from billing.models import Customer, Invoice, LedgerAccount
from billing.services.proof import ledger_problems
from commits.models import Commit, Quarter, QuarterState
from commits.services import balances, credits, daily, overrides, proof, true_ups
from commits.services.explained import explained_share
from metering.models import Meter
from metering.services import price_book, rate_cards
from metering.services.proof import rederive_rollups
from tests.commits import world
from tests.commits.world import at
from tests.prove import stripe_words
from tests.prove.database import check_deferred_constraints
from tests.scenarios.story import same, table

ASKS, DECIDES = "ada", "ben"
DAY = timedelta(days=1)


@dataclass
class Telling:
    """A story as told so far."""

    customer: Customer
    now: datetime
    touched: bool = True

    # --- Time ----------------------------------------------------------------------------------
    def until(self, when: str) -> None:
        """Time passes, with the jobs of every midnight up to and including this instant."""
        end = at(when)
        while (due := self._next_jobs()) is not None and due <= end:
            daily.run_daily(now=due)
            self.now, self.touched = due, False
            stripe_words.finalize_drafts(due)
        self.now = end

    def _next_jobs(self) -> datetime | None:
        """The next midnight with something to do: after a happening, or around a quarter's end."""
        rows = Quarter.objects.exclude(state=QuarterState.POSTED).select_related("commit")
        instants = [self.now] if self.touched else []
        for quarter in rows:
            closes = quarter.ends_at + timedelta(hours=quarter.commit.grace_hours)
            instants += [one for one in (quarter.ends_at - DAY, closes) if one > self.now]
        due = [_midnight_from(instant) for instant in instants]
        return min((one if one > self.now else one + DAY for one in due), default=None)

    def _happened(self) -> datetime:
        self.touched = True
        return self.now

    # --- What happens --------------------------------------------------------------------------
    def signs(self, *instalments: str, starts_on: str = "2026-01-01", **terms: Any) -> Commit:
        """A commit at 20 % off (without instalments: uncommitted, at list price), issued."""
        if not instalments:
            terms |= {"discount": Decimal(0)}
        made = world.signed(
            self.customer,
            starts_on=date.fromisoformat(starts_on),
            instalments=instalments,
            now=self._happened(),
            **terms,
        )
        stripe_words.finalize_drafts(self.now)
        return made

    def uses(self, units: str, when: str | None = None, **event: Any) -> str:
        """Usage of so many units at an instant (or now) that is reported now; its id."""
        moment = when or self.now.isoformat().removesuffix("+00:00")
        return world.use(self.customer, units, moment, now=self._happened(), **event)

    def voids(self, event: str) -> None:
        """An event is taken back."""
        world.void(self.customer, event, now=self._happened())

    def list_price(self, price: str, since: str, *, model: str = "any") -> None:
        """A list price of the meter `dollars`."""
        price_book.add_price(
            model=model,
            mode="serverless",
            meter="dollars",
            price=Decimal(price),
            effective_at=at(since),
            actor_name=ASKS,
            now=self._happened(),
        )

    def agrees_on_price(self, commit: Commit, price: str, since: str) -> None:
        """A price of the commit's own, asked for by Ada and approved by Ben."""
        override = rate_cards.Override("any", "serverless", "dollars", Decimal(price), at(since))
        asked = overrides.request_override(
            commit_id=commit.pk, override=override, actor=ASKS, now=self._happened()
        )
        overrides.approve_override(request_id=asked.pk, actor=DECIDES, now=self.now)

    def trues_up(self, commit: Commit, amount: str, **request: Any) -> None:
        """Ada asks for a true-up, Ben approves it."""
        asked = true_ups.request_true_up(
            commit_id=commit.pk,
            request=true_ups.TrueUpRequest(amount=Decimal(amount), **request),
            actor=ASKS,
            now=self._happened(),
        )
        true_ups.approve_true_up(true_up_id=asked.pk, actor=DECIDES, now=self.now)
        stripe_words.finalize_drafts(self.now)

    def credits(self, commit: Commit, amount: str, **request: Any) -> None:
        """Ada asks for a credit, Ben approves it."""
        asked = credits.request_credit(
            commit_id=commit.pk,
            request=credits.CreditRequest(Decimal(amount), "a reason", **request),
            actor=ASKS,
            now=self._happened(),
        )
        credits.approve_credit(credit_id=asked.pk, actor=DECIDES, now=self.now)

    def pays_everything(self) -> None:
        """Every issued invoice is paid through Stripe."""
        for invoice in self.invoices():
            if invoice.state == "finalized":
                stripe_words.pay(invoice.pk, "stripe", self._happened())

    # --- What is seen --------------------------------------------------------------------------
    def invoices(self) -> Sequence[Invoice]:
        """All invoices, oldest first."""
        return list(
            Invoice.objects.filter(customer=self.customer).order_by("created_at", "revision")
        )

    def shows_invoices(self, expected: str) -> None:
        """A row for each line, then the total, of every invoice."""
        rows = [["", "line", "of", "dollars", "state"]]
        for number, invoice in enumerate(self.invoices(), 1):
            for line in invoice.lines.all():
                cents = _shown(Decimal(line.amount_cents) / 100)
                rows.append([str(number), line.kind, f"Q{line.quarter_index}", cents, ""])
            rows.append([str(number), "total", "", _shown(Decimal(invoice.total_cents) / 100),
                         str(invoice.state)])  # fmt: skip
        same(table(rows), expected)

    def shows_quarters(self, commit: Commit, expected: str) -> None:
        """The quarters as anyone reads them: the recomputed chain, late usage included."""
        names = ("granted", "rolled_in", "used", "overage", "rolled_out", "breakage")
        rows = [["", *names]]
        for view in balances.read_quarters(commit=Commit.objects.get(pk=commit.pk)):
            figures = [_shown(getattr(view.figures, name)) for name in names]
            rows.append([f"Q{view.quarter.index}", *figures])
        same(table(rows), expected)

    def shows_books(self, expected: str) -> None:
        """The trial balance, deferred revenue by quarter; all that is used has been booked."""
        daily.draw_down(now=self.now)
        self.is_proved()
        balance: dict[str, Decimal] = defaultdict(Decimal)
        for account in LedgerAccount.objects.filter(customer=self.customer):
            quarter = f"_Q{account.quarter_index}" if account.quarter_index else ""
            balance[f"{account.code}{quarter}"] += account.balance
        rows = [["account", "debit", "credit"]]
        for name, amount in sorted(balance.items()):
            if amount:
                shown = _shown(abs(amount))
                rows.append([name, shown, "-"] if amount > 0 else [name, "-", shown])
        debit = sum((amount for amount in balance.values() if amount > 0), Decimal(0))
        credit = -sum((amount for amount in balance.values() if amount < 0), Decimal(0))
        rows.append(["sum", _shown(debit), _shown(credit)])
        same(table(rows), expected)

    def is_proved(self) -> None:
        """What `check_ledger` finds: nothing."""
        check_deferred_constraints()
        share = explained_share()
        found = [
            *proof.commit_problems(), *ledger_problems(), *rederive_rollups(), *share.problems,
        ]  # fmt: skip
        assert (found, share.text) == ([], "1")


def begin(now: str = "2025-12-01", zone: str = "UTC") -> Telling:
    """Prices, a customer, and the day on which the story begins."""
    Meter.objects.filter(key__in=["dollars", "micros"]).delete()
    world.dollar_prices()
    return Telling(world.make_customer("acme", zone), at(now))


def _midnight_from(instant: datetime) -> datetime:
    """The first midnight UTC that is not before an instant."""
    midnight = instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if midnight == instant else midnight + DAY


def _shown(amount: Decimal) -> str:
    """Dollars with two decimals, or as many as there are."""
    text = f"{amount:.12f}".rstrip("0")
    whole, _, rest = text.partition(".")
    return f"{whole}.{rest.ljust(2, '0')}"
