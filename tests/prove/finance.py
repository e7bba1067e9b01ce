"""What two finance users decide, carried out by the services: Ada asks, Ben approves."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from tests.oracle import happenings as told
from tests.prove.translation import decimal_of

ASKS, DECIDES = "ada", "ben"


def agree_on_price(commit_id: UUID, happening: told.AddOverride) -> None:
    """A price of the commit's own."""
    from commits.services import overrides
    from metering.services.rate_cards import Override

    price = happening.price
    override = Override(
        price.model, price.mode, price.meter, decimal_of(price.price), price.effective_at
    )
    asked = overrides.request_override(
        commit_id=commit_id, override=override, actor=ASKS, now=happening.at
    )
    overrides.approve_override(request_id=asked.pk, actor=DECIDES, now=happening.at)


def agree_on_private_price(customer: Any, happening: told.AddPrivatePrice) -> None:
    """A list price that this customer alone sees."""
    from metering.services import private_prices
    from metering.services.price_book import NewPrice

    price = happening.price
    new = NewPrice(
        price.model, price.mode, price.meter, decimal_of(price.price), price.effective_at
    )
    asked = private_prices.request_private_price(
        customer=customer, price=new, actor_name=ASKS, now=happening.at
    )
    private_prices.approve_private_price(request_id=asked.pk, actor_name=DECIDES, now=happening.at)


def ask_for_true_up(commit_id: UUID, happening: told.RequestTrueUp) -> UUID:
    """A request for a true-up; its id."""
    from commits.services import true_ups

    request = true_ups.TrueUpRequest(
        amount=decimal_of(happening.amount),
        from_quarter=happening.from_quarter,
        through_quarter=happening.through_quarter,
        discount=None if happening.discount is None else decimal_of(happening.discount),
        effective_at=happening.effective_at,
        bill_now=happening.bill_now,
    )
    made = true_ups.request_true_up(
        commit_id=commit_id, request=request, actor=ASKS, now=happening.at
    )
    return UUID(str(made.pk))


def grant_credit(commit_id: UUID, happening: told.Credit) -> None:
    """An SLA or promotional credit."""
    from commits.services import credits

    request = credits.CreditRequest(
        amount=decimal_of(happening.amount),
        reason="a reason",
        quarter=happening.quarter,
        expires_at=happening.expires_at,
        rolls_over=happening.rolls_over,
    )
    asked = credits.request_credit(
        commit_id=commit_id, request=request, actor=ASKS, now=happening.at
    )
    credits.approve_credit(credit_id=asked.pk, actor=DECIDES, now=happening.at)


def waive(customer: Any, happening: told.Waive) -> None:
    """What waits of one event is given up."""
    from metering.services import waivers

    asked = waivers.request_waiver(
        customer=customer,
        reason="a reason",
        events=[(happening.source, happening.id)],
        actor_name=ASKS,
        now=happening.at,
    )
    waivers.approve_waiver(waiver_id=asked.pk, actor_name=DECIDES, now=happening.at)


def note_request(happening: told.TakeBack) -> Any:
    """What is asked for."""
    from billing.models import CreditNoteKind
    from billing.services import credit_note_requests

    kinds = {True: CreditNoteKind.OVERBILLED_USAGE, False: CreditNoteKind.UNUSED_INSTALMENT}
    return credit_note_requests.NoteRequest(
        cents=happening.cents, reason="a reason", kind=kinds[happening.usage]
    )


def take_back(invoice_id: UUID, happening: told.TakeBack) -> None:
    """A credit note on one invoice."""
    from billing.services import credit_note_requests
    from commits.services import credit_notes

    asked = credit_note_requests.request_note(
        invoice_id=invoice_id,
        request=note_request(happening),
        actor=None,
        actor_name=ASKS,
        now=happening.at,
    )
    credit_notes.approve_credit_note(
        note_id=asked.pk, actor=None, actor_name=DECIDES, now=happening.at
    )


def write_off(invoice_id: UUID, now: datetime) -> Any:
    """A voided invoice is given up."""
    from billing.services import write_offs
    from commits.services.write_offs import approve_write_off

    asked = write_offs.request_write_off(
        invoice_id=invoice_id, reason="a reason", actor_name=ASKS, now=now
    )
    return approve_write_off(write_off_id=asked.pk, actor_name=DECIDES, now=now)


def lock(month: date, now: datetime) -> None:
    """A month of the books is locked."""
    from billing.services import accounting_periods

    accounting_periods.lock_month(month=month, actor_name=ASKS, now=now)


def unlock(month: date, now: datetime) -> None:
    """A locked month is unlocked by two."""
    from billing.services import accounting_periods

    period = accounting_periods.locked_period(month=month)
    asked = accounting_periods.request_unlock(
        period_id=period.pk, reason="a reason", actor_name=ASKS, now=now
    )
    accounting_periods.approve_unlock(unlock_id=asked.pk, actor_name=DECIDES, now=now)
