"""The product under proof: oracle happenings carried out by the real services.

Imports the product's services only inside methods, because Django is set up after this module may
have been imported.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from functools import singledispatchmethod
from typing import Any
from uuid import UUID, uuid5
from zlib import crc32

from tests.oracle import happenings as told
from tests.oracle.terms import Commit
from tests.prove import finance, previews
from tests.prove.finance import ASKS
from tests.prove.translation import cloud_event, terms_of

NAMESPACE = UUID("7c0e9a52-9a3e-4b8e-8a55-3a4de0b3a001")


@dataclass
class Product:
    """The services, with the names that the story uses for things."""

    customers: dict[str, Any] = field(default_factory=dict)
    commits: dict[str, UUID] = field(default_factory=dict)
    true_ups: dict[str, UUID] = field(default_factory=dict)
    invoice_ids: dict[str, UUID] = field(default_factory=dict)  # by the figures' names
    invoices: dict[int, UUID] = field(default_factory=dict)  # by the oracle's number
    tax: Fraction = Fraction(0)

    @singledispatchmethod
    def apply(self, happening: told.Happening) -> str:
        """Carry a happening out at its own instant; the answer in the oracle's words."""
        raise TypeError(f"unknown happening {happening!r}")

    @apply.register
    def _(self, happening: told.Advance) -> str:
        return "ok"

    @apply.register
    def _(self, happening: told.Tax) -> str:
        self.tax = happening.share
        return "ok"

    @apply.register
    def _(self, happening: told.Sign) -> str:
        from commits.services import signing

        self.customer(happening.commit)
        terms = terms_of(happening.commit)
        pk = uuid5(NAMESPACE, f"{happening.commit.customer}/{happening.commit.key}")

        def sign() -> None:
            made = signing.create_commit(terms=terms, actor=ASKS, now=happening.at, commit_id=pk)
            signing.activate_commit(commit_id=made.pk, actor=ASKS, now=happening.at)

        answer = asked(sign)
        if answer == "ok":
            self.commits[happening.commit.key] = pk
        return answer

    def customer(self, commit: Commit) -> Any:
        """The customer of a commit; made at its first commit."""
        from billing.services import customers

        if commit.customer not in self.customers:
            self.customers[commit.customer] = customers.create_customer(
                key=commit.customer,
                name=commit.customer.title(),
                email=f"{commit.customer}@example.com",
                timezone=commit.zone,
                now=datetime(2019, 1, 1, tzinfo=UTC),
            )
        return self.customers[commit.customer]

    @apply.register(told.Use)
    @apply.register(told.Void)
    def _(self, happening: told.Use | told.Void) -> str:
        return self.ingest((happening,), happening.at)

    @apply.register
    def _(self, happening: told.Batch) -> str:
        return self.ingest(happening.events, happening.at)

    def ingest(self, events: tuple[told.Use | told.Void, ...], now: datetime) -> str:
        """Report events in one request; duplicates are answered by number only."""
        from metering.services import ingest, usage_deltas

        result = ingest.ingest(
            body=json.dumps([cloud_event(one) for one in events]).encode(),
            content_type="application/json",
            now=now,
        )
        if crc32(now.isoformat().encode()) % 2:  # Folded or not, it counts the same.
            usage_deltas.fold()
        refused = {one.index: one.code for one in result.refused}
        words = [refused.get(place, "ok") for place in range(len(events))]
        for _ in range(result.duplicates):
            words.remove("ok")
            words.append("duplicate")
        return " ".join(sorted(words))

    @apply.register
    def _(self, happening: told.ApproveClose) -> str:
        commit, at = self.commits.get(happening.commit), happening.at
        if commit is None:
            return "refused"

        def meanwhile() -> None:
            if happening.meanwhile:
                self.ingest(happening.meanwhile, at)

        return asked(lambda: previews.approve_close(commit, happening.quarter, at, meanwhile))

    @apply.register
    def _(self, happening: told.AddPrice) -> str:
        from tests.prove.prices import add_price

        return asked(lambda: add_price(happening.price, happening.at))

    @apply.register
    def _(self, happening: told.AddOverride) -> str:
        commit = self.commits[happening.commit]
        return asked(lambda: finance.agree_on_price(commit, happening))

    @apply.register
    def _(self, happening: told.AddPrivatePrice) -> str:
        customer = self.customers[happening.customer]
        return asked(lambda: finance.agree_on_private_price(customer, happening))

    @apply.register
    def _(self, happening: told.RequestTrueUp) -> str:
        def ask() -> None:
            commit = self.commits[happening.commit]
            self.true_ups[happening.key] = finance.ask_for_true_up(commit, happening)

        return asked(ask)

    @apply.register
    def _(self, happening: told.ApproveTrueUp) -> str:
        pk = self.true_ups.get(happening.key)
        if pk is None:
            return "refused"
        return asked(lambda: previews.approve_true_up(pk, happening.at))

    @apply.register
    def _(self, happening: told.Correct) -> str:
        return asked(lambda: previews.correct(self.customers[happening.customer], happening))

    @apply.register
    def _(self, happening: told.Credit) -> str:
        return asked(lambda: finance.grant_credit(self.commits[happening.commit], happening))

    @apply.register
    def _(self, happening: told.Waive) -> str:
        return asked(lambda: finance.waive(self.customers[happening.customer], happening))

    @apply.register
    def _(self, happening: told.TakeBack) -> str:
        return asked(lambda: previews.take_back(self.invoices[happening.invoice], happening))

    @apply.register
    def _(self, happening: told.Pay) -> str:
        from tests.prove import stripe_words

        return asked(
            lambda: stripe_words.pay(
                self.invoices[happening.invoice], happening.through, happening.at
            )
        )

    @apply.register
    def _(self, happening: told.VoidInvoice) -> str:
        from tests.prove import stripe_words

        return asked(lambda: stripe_words.void(self.invoices[happening.invoice], happening.at))

    @apply.register
    def _(self, happening: told.Reissue) -> str:
        from billing.services import invoice_voiding

        return asked(
            lambda: invoice_voiding.reissue_invoice(
                invoice_id=self.invoices[happening.invoice],
                actor=None,
                actor_name=ASKS,
                now=happening.at,
            )
        )

    @apply.register
    def _(self, happening: told.Uncollectible) -> str:
        from tests.prove import stripe_words

        pk = self.invoices[happening.invoice]
        return asked(lambda: stripe_words.give_up(pk, happening.at))

    @apply.register
    def _(self, happening: told.WriteOff) -> str:
        return asked(lambda: previews.write_off(self.invoices[happening.invoice], happening.at))

    @apply.register
    def _(self, happening: told.LockMonth) -> str:
        return asked(lambda: finance.lock(happening.month, happening.at))

    @apply.register
    def _(self, happening: told.UnlockMonth) -> str:
        return asked(lambda: finance.unlock(happening.month, happening.at))

    def run_jobs(self, now: datetime) -> None:
        """One midnight, as commits.services.daily.run_daily without Stripe."""
        from commits.services import after_the_end, closes, daily

        daily.open_next_quarters(now=now)
        daily.draw_down(now=now)
        shown = previews.look_at_closes(now)
        closes.run_closes(as_of=now, now=now)
        previews.compare_closes(shown)
        after_the_end.settle_ended(now=now)

    def settle(self, now: datetime, *, book: bool = True) -> None:
        """Issue drafts as if Stripe had finalized them, and book what is not booked."""
        from commits.services import daily
        from tests.prove import stripe_words

        stripe_words.finalize_drafts(now, self.tax)
        if book:
            daily.draw_down(now=now)

    def unsettled(self) -> bool:
        """Whether usage of an ended chain waits for the next daily job."""
        from commits.services import after_the_end

        return bool(after_the_end.unsettled_origins())

    def views(self, commit: str) -> Sequence[Any]:
        """The quarters of a commit as anyone reads them."""
        from commits.models import Commit as Stored
        from commits.services import balances

        return balances.read_quarters(commit=Stored.objects.get(pk=self.commits[commit]))


def asked(ask: Callable[[], object]) -> str:
    """Ask a service: "ok", or "refused" where it raises one of its own errors."""
    from django.db import transaction

    from billing.domain.errors import BillingError, InvariantViolation
    from tests.prove.database import allow_durable

    try:
        with transaction.atomic():
            allow_durable()
            ask()
    except InvariantViolation:
        raise
    except BillingError as error:
        return f"refused: {error}"
    return "ok"
