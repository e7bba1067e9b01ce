"""Steps that the Stripe tests share: push until it is done, kill at a call, look at both sides."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from billing.domain.errors import ExternalFailure
from billing.models import Invoice, JournalEntry
from billing.services import clock, invoice_push, proof, stripe_gateway
from tests.billing import cast
from tests.stripe_simulator import StripeSimulator

CALLS = (
    "find_customers", "create_customer", "create_invoice", "list_invoices", "add_lines",
    "get_invoice", "list_lines", "finalize_invoice", "send_invoice", "void_invoice", "delete_draft",
)  # fmt: skip


class Killed(BaseException):
    """The worker dies here: nothing catches this."""


@contextmanager
def killed_at(number: int, *, after: bool) -> Iterator[None]:
    """The process dies before, or right after, its `number`-th call to Stripe."""
    made = 0

    def wrapped(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(**given: Any) -> Any:
            nonlocal made
            made += 1
            if made == number and not after:
                raise Killed
            answer = real(**given)
            if made == number:
                raise Killed
            return answer

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(stripe_gateway, name, wrapped(getattr(stripe_gateway, name)))
        yield


@contextmanager
def later(**delay: float) -> Iterator[datetime]:
    """Real time, as leases and the age of keys see it, some time on."""
    shifted = clock.real_now() + timedelta(**delay)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "real_now", lambda: shifted)
        yield shifted


def push(invoice: Invoice) -> bool:
    """Push once."""
    return invoice_push.push_invoice(invoice_id=invoice.pk, now=cast.NOW)


def push_until_done(invoice: Invoice) -> None:
    """Push again and again, as the sweeper does; a permanent failure ends it."""
    for _ in range(20):
        try:
            if push(invoice):
                return
        except ExternalFailure as failure:
            assert not failure.permanent, failure.detail
    raise AssertionError("it never arrived")


def assert_issued_once(invoice: Invoice, world: StripeSimulator) -> None:
    """One open invoice at Stripe with our lines, one in our books, sent, and nothing else."""
    invoice.refresh_from_db()
    assert (invoice.state, invoice.push_step, invoice.push_error) == ("finalized", "sent", "")
    remote = [row for row in world.objects("invoice") if row["status"] != "void"]
    assert [row["status"] for row in remote] == ["open"]
    assert remote[0]["id"] == invoice.stripe_id
    assert remote[0]["number"] == invoice.number
    assert remote[0]["total"] == invoice.total_cents
    assert len(world.objects("line_item")) == invoice.lines.count()
    assert len(world.objects("customer")) == 1
    assert [entry.code for entry in JournalEntry.objects.filter(invoice=invoice)] == [
        "invoice.issued"
    ]
    assert proof.ledger_problems() == []
