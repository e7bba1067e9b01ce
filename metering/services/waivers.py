"""Waiving usage that waits to be rated: asked for by one finance user, approved by another.

Approval happens under the usage lock, which ingest, the close and every change of prices take: a
quantity is either rated or waived, never both. What is waived stays waived when a price comes.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet

from billing.domain.errors import Conflict, InvalidInput, NotFound
from billing.models import Customer
from billing.services import two_people
from metering.models import Resolution, UnratedUsage, Waiver
from metering.services.usage_lock import lock_usage

REASON_LENGTH = 300
EventName = tuple[str, str]  # source and id, as reported


def unrated_usage(*, customer_id: int | None = None) -> QuerySet[UnratedUsage]:
    """Quantities that could not be rated when they came, resolved ones included."""
    rows = UnratedUsage.objects.select_related("customer")
    return rows if customer_id is None else rows.filter(customer_id=customer_id)


def request_waiver(
    *,
    customer: Customer,
    reason: str,
    actor_name: str,
    now: datetime,
    events: Sequence[EventName] = (),
    model: str = "",
    actor: AbstractBaseUser | None = None,
) -> Waiver:
    """Ask that what waits of these events, or of this model or sku, be waived. Changes no usage.

    Raises InvalidInput `invalid_waiver`; NotFound `not_waiting` naming the events of which nothing
    waits, or where nothing of the model waits.
    """
    problems = []
    if not 1 <= len(reason.strip()) <= REASON_LENGTH:
        problems.append(f"reason has 1 to {REASON_LENGTH} characters")
    if bool(events) == bool(model):
        problems.append("give either events or a model")
    if problems:
        raise InvalidInput("invalid_waiver", "; ".join(problems), problems=problems)
    waiting = UnratedUsage.objects.filter(customer=customer, resolved_at=None)
    with transaction.atomic():
        found = list(waiting.filter(model=model)) if model else _of_events(waiting, events)
        if not found:
            raise NotFound("not_waiting", f"no usage of {model!r} waits to be rated")
        waiver = two_people.ask(
            Waiver(id=uuid4(), customer=customer, reason=reason.strip()),
            actor=actor,
            actor_name=actor_name,
            now=now,
            details={"quantities": len(found)},
        )
        waiver.quantities.set(found)
    return waiver


def _of_events(waiting: QuerySet[UnratedUsage], events: Sequence[EventName]) -> list[UnratedUsage]:
    asked = set(events)
    found = [
        row
        for row in waiting.filter(
            source__in={source for source, _ in asked}, event_name__in={name for _, name in asked}
        )
        if (row.source, row.event_name) in asked
    ]
    missing = asked - {(row.source, row.event_name) for row in found}
    if missing:
        names = sorted(" ".join(name) for name in missing)
        raise NotFound("not_waiting", f"nothing waits to be rated of {', '.join(names[:10])}")
    return found


def approve_waiver(
    *, waiver_id: UUID, actor_name: str, now: datetime, actor: AbstractBaseUser | None = None
) -> Waiver:
    """Waive what still waits of the request. Doing it again returns the approved one.

    What has been rated or voided meanwhile stays so. Raises NotPermitted `maker_is_checker`;
    Conflict `not_open`, or `nothing_waits` where nothing is left to waive; NotFound.
    """
    with transaction.atomic():
        found = two_people.find(Waiver, waiver_id)
        lock_usage(customer_ids=[found.customer_id])
        waiver = two_people.find(Waiver, waiver_id, lock=True, related=("customer",))
        if not two_people.may_approve(waiver, actor_name=actor_name):
            return waiver
        waived = waiver.quantities.filter(resolved_at=None).update(
            resolved_at=now, resolution=Resolution.WAIVED
        )
        if not waived:
            raise Conflict("nothing_waits", "all of it has been rated, voided or waived meanwhile")
        two_people.approve(
            waiver, actor=actor, actor_name=actor_name, now=now, details={"quantities": waived}
        )
    return waiver


def reject_waiver(
    *,
    waiver_id: UUID,
    actor_name: str,
    now: datetime,
    why: str = "",
    actor: AbstractBaseUser | None = None,
) -> Waiver:
    """Decline a request. Doing it again returns the rejected one. Raises Conflict, NotFound."""
    with transaction.atomic():
        waiver = two_people.find(Waiver, waiver_id, lock=True, related=("customer",))
        return two_people.reject(waiver, actor=actor, actor_name=actor_name, now=now, why=why)
