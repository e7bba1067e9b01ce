"""Previews: what they show is what then happens, and looking changes nothing.

Each function does what a story asks for, with the product's own preview before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from tests.oracle import happenings as told
from tests.prove import finance
from tests.prove.finance import DECIDES

APPS = ("billing", "metering", "commits")


def everything() -> dict[str, str]:
    """A digest of every table, by name."""
    from django.apps import apps
    from django.db import connection

    models = [model for name in APPS for model in apps.get_app_config(name).get_models()]
    digests = (
        "SELECT '{0}', md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {0} t"
    )
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(digests.format(one._meta.db_table) for one in models))
        return dict(cursor.fetchall())


@contextmanager
def untouched(what: str) -> Iterator[None]:
    """Whatever is read inside leaves every table as it is, also where it is refused."""
    before = everything()
    try:
        yield
    finally:
        changed = [name for name, digest in everything().items() if before[name] != digest]
        if changed:
            raise AssertionError(f"a preview of {what} has changed {', '.join(changed)}")


def seen(what: str, preview: Callable[[], Any]) -> Any:
    """What a preview answers; None where it is refused."""
    from billing.domain.errors import BillingError, InvariantViolation

    with untouched(what):
        try:
            return preview()
        except InvariantViolation:
            raise
        except BillingError:
            return None


def same(what: str, shown: object, happened: object) -> None:
    """A preview's figures and what then was."""
    if shown != happened:
        raise AssertionError(f"the preview of {what} said {shown}, and then it was {happened}")


# --- Closes ------------------------------------------------------------------------------------
def look_at_closes(as_of: datetime) -> dict[int, tuple[Any, str]]:
    """The plans of the quarters that the next run is to close, by quarter."""
    from commits.models import Quarter, QuarterState
    from commits.services import closes, due_closes

    found = {}
    for origin in due_closes.due_origins(as_of=as_of):
        quarters = Quarter.objects.filter(origin=origin).exclude(state=QuarterState.POSTED)
        quarter = quarters.order_by("position").first()
        if quarter is not None and quarter.state != QuarterState.APPROVED:
            with untouched("a close"):
                _, plan, digest, _ = closes.preview_close(
                    commit_id=quarter.commit_id, index=quarter.index
                )
            found[quarter.pk] = (plan, digest)
    return found


def compare_closes(shown: dict[int, tuple[Any, str]]) -> None:
    """Those that were posted have the plan that was shown, and bill it."""
    from billing.models import Invoice
    from commits.models import Close, CloseState
    from commits.services.close_inputs import plan_as_json

    posted = Close.objects.filter(quarter__in=shown, state=CloseState.POSTED)
    for close in posted.select_related("quarter"):
        plan, digest = shown[close.quarter_id]
        same("a close", (plan_as_json(plan), digest), (close.plan, close.digest))
        invoices = Invoice.objects.filter(closed_quarters=close.quarter)
        same("an invoice", plan.total_cents, sum(one.total_cents for one in invoices))


def approve_close(commit: UUID, index: int, now: datetime, meanwhile: Callable[[], object]) -> None:
    """A human approves the plan that was looked at; `meanwhile` happens before it is posted."""
    from commits.models import CloseState, Quarter
    from commits.services import closes, daily

    quarter = Quarter.objects.filter(commit=commit, index=index).first()
    if quarter is None:
        raise AssertionError("nobody asks for a quarter that is not there")
    shown = seen("a close", lambda: closes.preview_close(commit_id=commit, index=index))
    digest = shown[2] if shown else None
    closes.approve_close(
        commit_id=commit, index=index, actor=DECIDES, now=now, expected_digest=digest
    )
    meanwhile()
    daily.draw_down(now=now)
    posted = closes.post_approved(origin_id=quarter.origin_id, now=now)
    if posted is None or posted.state != CloseState.POSTED:
        raise AssertionError(f"an approved close is not posted but {posted}")
    if shown is not None:
        compare_closes({quarter.pk: (shown[1], shown[2])})


def look_at_any_close(number: int) -> None:
    """The plan of some quarter as of now, also of one that runs or is to come."""
    from commits.models import Quarter, QuarterState
    from commits.services import closes

    unposted = Quarter.objects.exclude(state=QuarterState.POSTED).order_by("pk")
    quarter = unposted[number % len(unposted)] if unposted else None
    if quarter is not None:
        with untouched("a close to come"):
            closes.preview_close(commit_id=quarter.commit_id, index=quarter.index)


# --- True-ups, credit notes, write-offs ----------------------------------------------------------
def approve_true_up(pk: UUID, now: datetime) -> None:
    """A true-up, with its effect shown before."""
    from commits.models import TrueUp
    from commits.services import previews, true_ups

    stored = TrueUp.objects.get(pk=pk)
    request = true_ups.TrueUpRequest(
        stored.amount, stored.from_quarter, stored.through_quarter, stored.discount,
        stored.effective_at, stored.bill_now,
    )  # fmt: skip
    commit = stored.commit_id
    shown = seen(
        "a true-up",
        lambda: previews.preview_true_up(commit_id=commit, request=request, now=now),
    )
    true_ups.approve_true_up(true_up_id=pk, actor=DECIDES, now=now)
    if shown is not None:
        same("a true-up", shown.after, previews.outlook(commit_id=commit, now=now))


def take_back(invoice_id: UUID, happening: told.TakeBack) -> None:
    """A credit note, with its effect shown before."""
    from billing.models import CreditNote
    from commits.services import credit_notes

    request = finance.note_request(happening)
    shown = seen(
        "a credit note",
        lambda: credit_notes.preview_credit_note(
            invoice_id=invoice_id, request=request, now=happening.at
        ),
    )
    finance.take_back(invoice_id, happening)
    note = CreditNote.objects.filter(invoice=invoice_id).latest("decided_at", "requested_at")
    if shown is None:
        raise AssertionError("a credit note was refused as a preview, and then approved")
    parts = ("receivable_cents", "customer_credit_cents", "refund_cents", "quarter_index")
    same(
        "a credit note",
        ([getattr(shown.note, part) for part in parts], shown.available_after),
        (
            [getattr(note, part) for part in parts],
            credit_notes._available(note.invoice.commit_id, happening.at),
        ),
    )


def write_off(invoice_id: UUID, now: datetime) -> None:
    """A write-off, with what it withdraws shown before."""
    from billing.models import Invoice
    from commits.services.write_offs import preview_write_off

    invoice = Invoice.objects.get(pk=invoice_id)
    with untouched("a write-off"):
        shown = preview_write_off(invoice=invoice)
    done = finance.write_off(invoice_id, now)
    same(
        "a write-off",
        [[str(one.commit_id), one.quarter_index, one.cents] for one in shown],
        done.withdrawn,
    )


# --- Corrections ---------------------------------------------------------------------------------
def correct(customer: Any, happening: told.Correct) -> None:
    """A correction of usage, with its effect on every quarter shown before."""
    from commits.services import corrections
    from commits.services.books import sync_books
    from tests.prove.translation import cloud_event

    correction = corrections.Correction(
        voids=[(happening.target_source, happening.target_id)],
        reason="a reason",
        replacements=[cloud_event(happening.instead)] if happening.instead else [],
    )
    now = happening.at
    shown = seen(
        "a correction",
        lambda: corrections.preview_correction(customer=customer, correction=correction, now=now),
    )
    corrections.apply_correction(
        customer=customer, correction=correction, actor_name=finance.ASKS, now=now
    )
    if shown is None:
        raise AssertionError("a correction was refused as a preview, and then applied")
    sync_books(origin_ids=corrections._origins(customer), now=now)
    then = corrections._read(customer)
    same(
        "a correction",
        [(one.commit_id, one.index, _figures(one.after)) for one in shown.quarters],
        [
            (quarter.commit_id, quarter.index, _figures(figures))
            for quarter, _, figures in then.quarters.values()
        ],
    )
    same("the next invoice", shown.invoice_after_cents, then.invoice_cents)


def _figures(quarter: Any) -> tuple[Any, ...]:
    """A quarter's figures without the ids of its grants."""
    return (
        quarter.used,
        quarter.overage,
        [
            (g.grant.kind, g.grant.amount, g.drawn, g.rolled_out, g.broken, g.returned)
            for g in quarter.grants
        ],
    )
