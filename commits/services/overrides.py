"""Fixed prices agreed in mid-contract: asked for by one finance user, approved by another."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid4

from django.db import transaction

from billing.domain.errors import Conflict, NotFound
from billing.services import two_people
from billing.services.retrying import retried
from commits.models import Commit, CommitState, OverrideRequest
from commits.services.books import book_and_write
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
        )
        return two_people.ask(request, actor_name=actor, now=now)


@retried
def approve_override(*, request_id: UUID, actor: str, now: datetime) -> OverrideRequest:
    """Put the price in force. Doing it again returns the approved request.

    Raises NotPermitted `maker_is_checker`, Conflict `price_in_force` where usage has already been
    rated otherwise, `not_open`, NotFound.
    """
    with transaction.atomic():
        found = two_people.find(OverrideRequest, request_id, related=("commit",))
        origin_id = found.commit.origin_id
        load_chains(origin_ids=[origin_id], lock=True)
        request = _locked(request_id)
        if not two_people.may_approve(request, actor_name=actor):
            return request
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
        book_and_write([state], now)
        two_people.approve(request, actor_name=actor, now=now)
    return request


def reject_override(
    *, request_id: UUID, actor: str, now: datetime, why: str = ""
) -> OverrideRequest:
    """Decline a request. Doing it again returns the rejected one. Raises Conflict, NotFound."""
    with transaction.atomic():
        return two_people.reject(_locked(request_id), actor_name=actor, now=now, why=why)


def _locked(request_id: UUID) -> OverrideRequest:
    return two_people.find(OverrideRequest, request_id, lock=True, related=("commit__customer",))
