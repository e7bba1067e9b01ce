"""Backfills: a source's usage of a stretch of time, staged, previewed in money, applied or not.

Applying is ingest like any other, one customer a database transaction: what dies half-way goes on
with the customers that are left. A replaced event is voided; one that comes again with the same
content stays as it is; one that comes again with other content gets an id of its own, because an
id says one thing for ever.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4, uuid5

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Count

from billing.domain.errors import Conflict, InvalidInput, NotFound
from billing.models import Customer, RequestState
from billing.services import audit, two_people
from billing.services.retrying import retried
from commits.models import Backfill, BackfillKind, BackfillShare, StagedEvent
from commits.services.corrections import SOURCE, CorrectionPreview, preview_of
from metering.domain.bodies import MAX_EVENTS, decode_events
from metering.domain.events import Refusal, VoidEvent
from metering.services import event_listing
from metering.services.ingest import ingest

MOST_CUSTOMERS = 1_000


def declare_backfill(
    *,
    source: str,
    starts_at: datetime,
    ends_at: datetime,
    kind: BackfillKind,
    customer_keys: Sequence[str],
    reason: str,
    events: bytes = b"[]",
    actor_name: str,
    now: datetime,
    actor: AbstractBaseUser | None = None,
) -> Backfill:
    """Open a backfill of these customers, with a first batch of staged events.

    Raises InvalidInput `invalid_backfill` naming every problem, NotFound `customer_not_found`, and
    what staging raises: nothing is opened then.
    """
    problems = []
    if ends_at <= starts_at:
        problems.append("to is later than from")
    if not 1 <= len(reason.strip()) <= 300:
        problems.append("reason has 1 to 300 characters")
    if not 1 <= len(set(customer_keys)) <= MOST_CUSTOMERS:
        problems.append(f"customers names 1 to {MOST_CUSTOMERS} customers")
    if problems:
        raise InvalidInput("invalid_backfill", "; ".join(problems), problems=problems)
    customers = list(Customer.objects.filter(key__in=set(customer_keys)).order_by("key"))
    missing = sorted(set(customer_keys) - {customer.key for customer in customers})
    if missing:
        raise NotFound("customer_not_found", f"There is no customer {missing[0]!r}.")
    with transaction.atomic():
        backfill = two_people.ask(
            Backfill(
                id=uuid4(),
                source=source,
                starts_at=starts_at,
                ends_at=ends_at,
                kind=kind,
                reason=reason.strip(),
            ),
            actor_name=actor_name,
            actor=actor,
            now=now,
            details={"customers": [customer.key for customer in customers]},
        )
        BackfillShare.objects.bulk_create(
            BackfillShare(backfill=backfill, customer=customer) for customer in customers
        )
        stage_events(backfill_id=backfill.pk, body=events)
    return backfill


def stage_events(*, backfill_id: UUID, body: bytes) -> int:
    """Stage a batch of CloudEvents; an id staged before is staged anew. How many there are now.

    All or nothing. Raises InvalidInput `invalid_events` naming every problem, Conflict `not_open`,
    NotFound; MalformedBody and TooLarge as usage does.
    """
    events = list(decode_events(body, one=True, many=True))
    raw = json.loads(body)
    raw = raw if isinstance(raw, list) else [raw]
    with transaction.atomic():
        backfill = two_people.find(Backfill, backfill_id, lock=True)
        if backfill.state != RequestState.REQUESTED:
            raise Conflict("not_open", "the backfill has been decided")
        shares = {share.customer.key: share for share in _shares(backfill)}
        problems = [
            f"events[{place}]: {words}"
            for place, event in enumerate(events)
            if (words := _problem(backfill, event, shares))
        ]
        if problems:
            raise InvalidInput("invalid_events", "; ".join(problems[:20]), problems=problems)
        staged = {(one["subject"], one["id"]): one for one in raw}
        StagedEvent.objects.bulk_create(
            (
                StagedEvent(share=shares[key], event_id=name, body=one)
                for (key, name), one in staged.items()
            ),
            batch_size=1_000,
            update_conflicts=True,
            unique_fields=["share", "event_id"],
            update_fields=["body"],
        )
    return StagedEvent.objects.filter(share__backfill=backfill).count()


def _problem(backfill: Backfill, event: Any, shares: Mapping[str, BackfillShare]) -> str:
    if isinstance(event, Refusal):
        return event.detail
    if isinstance(event, VoidEvent):
        return "a backfill holds no voids: `replace` takes back"
    if event.source != backfill.source:
        return f"the source is not {backfill.source!r}"
    if event.subject not in shares:
        return f"{event.subject!r} is no customer of this backfill"
    if not backfill.starts_at <= event.time < backfill.ends_at:
        return "its time lies outside the backfill"
    return ""


def staged_counts(*, backfill_id: UUID) -> dict[str, int]:
    """How many events are staged, by customer key."""
    shares = BackfillShare.objects.filter(backfill=backfill_id).annotate(staged=Count("events"))
    return dict(shares.order_by("customer__key").values_list("customer__key", "staged"))


def preview_backfill(*, backfill_id: UUID, now: datetime) -> list[tuple[str, CorrectionPreview]]:
    """What it would change of each customer's quarters, by customer key. Changes nothing.

    Raises what applying it would raise.
    """
    backfill = two_people.find(Backfill, backfill_id)
    return [
        (
            share.customer.key,
            preview_of(share.customer, partial(_take_in, backfill, share, now), now),
        )
        for share in _shares(backfill)
        if share.applied_at is None
    ]


def approve_backfill(
    *, backfill_id: UUID, actor_name: str, now: datetime, actor: AbstractBaseUser | None = None
) -> Backfill:
    """Approve and apply it. Again goes on where it was cut off.

    Raises InvalidInput `backfill_refused` before anything is applied, Conflict `not_open`,
    NotPermitted `maker_is_checker`, NotFound.
    """
    preview_backfill(backfill_id=backfill_id, now=now)
    with transaction.atomic():
        backfill = two_people.find(Backfill, backfill_id, lock=True)
        if two_people.may_approve(backfill, actor_name=actor_name):
            two_people.approve(backfill, actor_name=actor_name, actor=actor, now=now)
    return _apply(backfill, now)


def reject_backfill(
    *,
    backfill_id: UUID,
    actor_name: str,
    now: datetime,
    why: str = "",
    actor: AbstractBaseUser | None = None,
) -> Backfill:
    """Discard it: nothing staged becomes usage. Raises Conflict `not_open` once approved."""
    with transaction.atomic():
        backfill = two_people.find(Backfill, backfill_id, lock=True)
        return two_people.reject(backfill, actor_name=actor_name, now=now, why=why, actor=actor)


def apply_approved(*, now: datetime) -> int:
    """Go on with approved backfills that were cut off: how many."""
    cut_off = Backfill.objects.filter(state=RequestState.APPROVED, shares__applied_at=None)
    waiting = list(cut_off.distinct())
    for backfill in waiting:
        _apply(backfill, now)
    return len(waiting)


def _apply(backfill: Backfill, now: datetime) -> Backfill:
    for share in _shares(backfill):
        _apply_share(backfill, share.pk, now)
    return backfill


@retried
def _apply_share(backfill: Backfill, share_id: int, now: datetime) -> None:
    with transaction.atomic():
        share = (
            BackfillShare.objects.select_for_update(of=("self",))
            .select_related("customer")
            .get(pk=share_id)
        )
        if share.applied_at is not None:
            return
        voided = _take_in(backfill, share, now)
        share.applied_at = now
        share.save(update_fields=["applied_at"])
        audit.record(
            at=now,
            actor_name=backfill.decided_by,
            action="apply",
            object_type="backfill",
            object_ref=str(backfill.pk),
            customer_key=share.customer.key,
            details={"voided": voided},
        )


def _take_in(backfill: Backfill, share: BackfillShare, now: datetime) -> int:
    """Ingest what is staged for one customer, and void what it replaces: how many voids."""
    reported = event_listing.live_event_ids(
        customer_id=share.customer_id,
        source=backfill.source,
        starts_at=backfill.starts_at,
        ends_at=backfill.ends_at,
    )
    staged = list(share.events.order_by("pk"))
    changed = _ingest(share.customer, [one.body for one in staged], now)
    if backfill.kind == BackfillKind.ADD:
        if changed:
            raise InvalidInput(
                "backfill_refused", f"{changed[0]} was reported before with other content"
            )
        return 0
    names = {one.event_id for one in staged} - set(changed)
    voids = [_void(backfill, share, name, now) for name in sorted(set(reported) - names)]
    again = [
        {**one.body, "id": f"{one.event_id}~{backfill.pk.hex[:8]}"}
        for one in staged
        if one.event_id in set(changed)
    ]
    if contradicting := _ingest(share.customer, [*voids, *again], now):
        raise InvalidInput("backfill_refused", f"{contradicting[0]} is taken")
    return len(voids)


def _ingest(customer: Customer, events: Sequence[Mapping[str, Any]], now: datetime) -> list[str]:
    """Take events in, in the caller's transaction. Returns the ids that say something else
    already; any other refusal raises InvalidInput `backfill_refused`."""
    conflicts = []
    for start in range(0, len(events), MAX_EVENTS):
        result = ingest(
            body=json.dumps(events[start : start + MAX_EVENTS]).encode(),
            content_type="application/cloudevents-batch+json",
            now=now,
            allowed_customer_ids=[customer.pk],
            within=True,
        )
        for one in result.refused:
            if one.code != "conflict":
                raise InvalidInput("backfill_refused", f"{one.id}: {one.detail}")
            conflicts.append(str(one.id))
    return conflicts


def _void(backfill: Backfill, share: BackfillShare, name: str, now: datetime) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"void-{uuid5(backfill.pk, json.dumps([share.customer.key, name]))}",
        "source": SOURCE,
        "subject": share.customer.key,
        "time": now.isoformat(),
        "type": "inference.void",
        "data": {"source": backfill.source, "id": name, "reason": backfill.reason},
    }


def _shares(backfill: Backfill) -> list[BackfillShare]:
    return list(backfill.shares.select_related("customer").order_by("customer"))
