"""Corrections of usage by finance: voids, with or without replacements, and what they would change.

A correction is events like any others (commits/README.md, "late usage"): the chain of quarters is
recomputed from them. The preview does the whole of it on the real books, reads every quarter
before and after, and gives the database transaction up.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from billing.domain.errors import InvalidInput
from billing.domain.money import ZERO, plain
from billing.models import Customer
from billing.services import audit
from billing.services.retrying import retried
from commits.domain.figures import QuarterFigures
from commits.models import Commit, CommitState, Quarter
from commits.services.balances import read_quarters
from commits.services.books import sync_books
from commits.services.chains import load_chains
from commits.services.previews import digest_of, refuse_changed, running_plan
from metering.domain.bodies import MAX_EVENTS
from metering.services.ingest import IngestResult, ingest

_CHANGES = ("granted", "rolled_in", "used", "overage", "rolled_out", "breakage")
SOURCE = "finance"  # The source of the void events that a correction makes.
_NAMES = UUID("5f0f3f0e-6e0b-4c3b-9a55-4f6a2c1d7b10")


@dataclass(frozen=True, slots=True)
class Correction:
    """Events to take back, by source and id, and events (CloudEvents) to count in their place."""

    voids: Sequence[tuple[str, str]]
    reason: str
    replacements: Sequence[Mapping[str, Any]] = field(default=())


@dataclass(frozen=True, slots=True)
class QuarterEffect:
    """One quarter's recomputed figures, without the correction and with it."""

    commit_id: UUID
    index: int
    state: str
    before: QuarterFigures
    after: QuarterFigures

    @property
    def is_changed(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class CorrectionPreview:
    """Every quarter of the customer, and the next invoice of its open quarter in cents."""

    correction: Correction | None
    quarters: tuple[QuarterEffect, ...]
    invoice_before_cents: int | None
    invoice_after_cents: int | None

    @property
    def digest(self) -> str:
        """Of the correction and what it changes: usage that comes meanwhile, and that it does not
        touch, leaves it as it is."""
        asked = self.correction
        changes = [
            (
                str(one.commit_id),
                one.index,
                one.state,
                [plain(getattr(one.after, name) - getattr(one.before, name)) for name in _CHANGES],
            )
            for one in self.quarters
            if one.is_changed
        ]
        invoice = None
        if self.invoice_before_cents is not None and self.invoice_after_cents is not None:
            invoice = self.invoice_after_cents - self.invoice_before_cents
        wanted = None
        if asked is not None:
            wanted = [list(asked.voids), [dict(one) for one in asked.replacements]]
        return digest_of(wanted, changes, invoice)

    @property
    def used_difference(self) -> Decimal:
        """By how many dollars usage changes, over all quarters."""
        return sum((one.after.used - one.before.used for one in self.quarters), ZERO)


class _RollBackError(Exception):
    """Carries what was read out of the database transaction that is given up."""

    def __init__(self, found: "_Reading") -> None:
        super().__init__()
        self.found = found


@dataclass(frozen=True, slots=True)
class _Reading:
    """Every quarter by id with its figures, and the total of the next invoice."""

    quarters: dict[int, tuple[Quarter, str, QuarterFigures]]
    invoice_cents: int | None


def preview_correction(
    *, customer: Customer, correction: Correction, now: datetime
) -> CorrectionPreview:
    """What a correction would change if it were applied now. Changes nothing.

    Raises what applying it would raise.
    """
    return preview_of(
        customer, lambda: _take_in(customer, correction, now), now, correction=correction
    )


def preview_of(
    customer: Customer,
    act: Callable[[], Any],
    now: datetime,
    *,
    correction: Correction | None = None,
) -> CorrectionPreview:
    """What `act`, which takes events in, would change of a customer's quarters."""
    before = _read(customer)
    try:
        with transaction.atomic():
            act()
            sync_books(origin_ids=_origins(customer), now=now)
            raise _RollBackError(_read(customer))
    except _RollBackError as given_up:
        after = given_up.found
    effects = [
        QuarterEffect(quarter.commit_id, quarter.index, state, figures, after.quarters[pk][2])
        for pk, (quarter, state, figures) in before.quarters.items()
        if pk in after.quarters
    ]
    return CorrectionPreview(correction, tuple(effects), before.invoice_cents, after.invoice_cents)


@retried
def apply_correction(
    *,
    customer: Customer,
    correction: Correction,
    actor_name: str,
    now: datetime,
    actor: AbstractBaseUser | None = None,
    expected_digest: str | None = None,
) -> IngestResult:
    """Take the void and replacement events in: all of them, or none.

    With `expected_digest` it must still change what the preview of that digest has shown. Raises
    InvalidInput `invalid_correction`, or `correction_refused` naming each refused event; Conflict
    `preview_changed`.
    """
    with transaction.atomic():
        if expected_digest is not None:
            # Locked: what is looked at here is what is then changed.
            load_chains(origin_ids=_origins(customer), lock=True)
            seen = preview_correction(customer=customer, correction=correction, now=now)
            refuse_changed(expected=expected_digest, digest=seen.digest)
        result = _take_in(customer, correction, now)
        audit.record(
            at=now,
            actor=actor,
            actor_name=actor_name,
            action="correct",
            object_type="usage",
            object_ref=customer.key,
            customer_key=customer.key,
            details={
                "reason": correction.reason,
                "voids": [f"{source} {name}" for source, name in correction.voids],
                "replacements": [str(event.get("id")) for event in correction.replacements],
            },
        )
    return result


def _take_in(customer: Customer, correction: Correction, now: datetime) -> IngestResult:
    count = len(correction.voids) + len(correction.replacements)
    problems = []
    if not 1 <= len(correction.reason.strip()) <= 300:
        problems.append("reason has 1 to 300 characters")
    if not correction.voids or count > MAX_EVENTS:
        problems.append(f"a correction voids something, with at most {MAX_EVENTS} events")
    if any(event.get("subject") != customer.key for event in correction.replacements):
        problems.append(f"a replacement has the subject {customer.key!r}")
    if problems:
        raise InvalidInput("invalid_correction", "; ".join(problems), problems=problems)
    events = [_void(customer, one, correction.reason, now) for one in correction.voids]
    result = ingest(
        body=json.dumps([*events, *correction.replacements]).encode(),
        content_type="application/cloudevents-batch+json",
        now=now,
        allowed_customer_ids=[customer.pk],
        within=True,
    )
    if result.refused or result.duplicates:
        refused = [
            {"index": one.index, "id": one.id, "code": one.code, "detail": one.detail}
            for one in result.refused
        ]
        said = "; ".join(f"{one.id}: {one.detail}" for one in result.refused[:5])
        raise InvalidInput(
            "correction_refused", said or "it has been applied already", refused=refused
        )
    return result


def _void(
    customer: Customer, target: tuple[str, str], reason: str, now: datetime
) -> dict[str, Any]:
    source, name = target
    return {
        "specversion": "1.0",
        "id": f"void-{uuid5(_NAMES, json.dumps([customer.key, source, name]))}",
        "source": SOURCE,
        "subject": customer.key,
        "time": now.isoformat(),
        "type": "inference.void",
        "data": {"source": source, "id": name, "reason": reason.strip()},
    }


def _commits(customer: Customer) -> list[Commit]:
    found = Commit.objects.filter(customer=customer).exclude(state=CommitState.DRAFT)
    return list(found.select_related("customer").order_by("starts_on"))


def _origins(customer: Customer) -> set[UUID]:
    return {commit.origin_id for commit in _commits(customer)}


def _read(customer: Customer) -> _Reading:
    quarters = {}
    invoice_cents = None
    for commit in _commits(customer):
        for view in read_quarters(commit=commit):
            quarters[view.quarter.pk] = (view.quarter, view.state, view.figures)
            plan = None if invoice_cents is not None else running_plan(view.quarter)
            if plan is not None:
                invoice_cents = plan.total_cents
    return _Reading(quarters, invoice_cents)
