"""Fixed prices agreed in mid-contract: asked for by one finance user, approved by another."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid4

from django.db import transaction

from billing.domain.errors import Conflict, NotFound, NotPermitted
from billing.services import audit
from commits.models import Commit, CommitState, OverrideRequest, RequestState
from commits.services.bookings import write_booking
from commits.services.books import book_chains
from commits.services.chains import load_chains
from metering.services import rate_cards
from metering.services.quotes import check_price


def request_override(
    *,
    commit_id: UUID,
    override: rate_cards.Override,
    actor: str,
    now: datetime,
) -> OverrideRequest:
    """Store a request. Raises what an impossible price raises, Conflict `commit_not_active`."""
    commit = Commit.objects.filter(pk=commit_id).select_related("customer").first()
    if commit is None:
        raise NotFound("unknown_commit", f"no commit {commit_id}")
    if commit.state != CommitState.ACTIVE:
        raise Conflict("commit_not_active", "only an active commit can have overrides")
    check_price(
        model=override.model,
        mode=override.mode,
        meter=override.meter,
        price=override.price,
        effective_at=override.effective_at,
    )
    with transaction.atomic():
        request = OverrideRequest(
            id=uuid4(),
            commit=commit,
            model=override.model,
            mode=override.mode,
            meter=override.meter,
            price=override.price,
            effective_at=override.effective_at,
            requested_at=now,
            requested_by=actor,
        )
        request.save(force_insert=True)
        _record(request, "request", actor, now)
    return request


def approve_override(*, request_id: UUID, actor: str, now: datetime) -> OverrideRequest:
    """Put the price in force. Doing it again returns the approved request.

    Raises NotPermitted `maker_is_checker`, Conflict `price_in_force` where usage has already been
    rated otherwise, `not_open`, NotFound.
    """
    with transaction.atomic():
        request = _locked(request_id)
        if request.state == RequestState.APPROVED:
            return request
        if request.state != RequestState.REQUESTED:
            raise Conflict("not_open", "the request has been rejected")
        if request.requested_by == actor:
            raise NotPermitted("maker_is_checker", "whoever asks may not approve")
        origin_id = request.commit.origin_id
        load_chains(origin_ids=[origin_id], lock=True)
        card_id = request.commit.rate_card_id
        if card_id is None:
            raise Conflict("commit_not_active", "only an active commit can have overrides")
        rate_cards.add_override(
            card_id=card_id,
            model=request.model,
            mode=request.mode,
            meter=request.meter,
            price=Decimal(request.price),
            effective_at=request.effective_at,
            now=now,
        )
        # Usage that waited for the price is rated now, and no event will tell the books of it.
        state = load_chains(origin_ids=[origin_id], lock=True)[origin_id]
        write_booking(book_chains([state], now))
        request.state = RequestState.APPROVED
        request.decided_at, request.decided_by = now, actor
        request.save()
        _record(request, "approve", actor, now)
    return request


def reject_override(*, request_id: UUID, actor: str, now: datetime) -> OverrideRequest:
    """Decline a request. Doing it again returns the rejected one. Raises Conflict, NotFound."""
    with transaction.atomic():
        request = _locked(request_id)
        if request.state == RequestState.APPROVED:
            raise Conflict("not_open", "the request has been approved")
        if request.state == RequestState.REQUESTED:
            request.state = RequestState.REJECTED
            request.decided_at, request.decided_by = now, actor
            request.save()
            _record(request, "reject", actor, now)
    return request


def _locked(request_id: UUID) -> OverrideRequest:
    found = (
        OverrideRequest.objects.select_for_update(of=("self",))
        .select_related("commit__customer")
        .filter(pk=request_id)
        .first()
    )
    if found is None:
        raise NotFound("unknown_override", f"no override request {request_id}")
    return found


def _record(request: OverrideRequest, action: str, actor: str, now: datetime) -> None:
    audit.record(
        at=now,
        actor_name=actor,
        action=action,
        object_type="override",
        object_ref=str(request.pk),
        customer_key=request.commit.customer.key,
        details={
            "model": request.model,
            "mode": request.mode,
            "meter": request.meter,
            "price": str(request.price),
        },
    )
