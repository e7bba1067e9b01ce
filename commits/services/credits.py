"""Credits: balance that nobody pays for, asked for by one finance user, approved by another."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

from django.db import transaction

from billing.domain.errors import Conflict, InvalidInput, NotFound
from billing.domain.journal import Entry, EntryCode, Scope, credit_moves, postings_of
from billing.domain.money import is_whole_cents
from billing.services import ledger, two_people
from billing.services.retrying import retried
from commits.domain.chain import GrantKind
from commits.models import Commit, CommitState, Credit, Grant, Quarter, QuarterState
from commits.services.books import book_and_write
from commits.services.chains import ChainState, load_chains


@dataclass(frozen=True, slots=True)
class CreditRequest:
    """What is asked for: dollars in whole cents, why, and where and until when it may be drawn."""

    amount: Decimal
    reason: str
    quarter: int | None = None
    expires_at: datetime | None = None
    rolls_over: bool = False


def request_credit(*, commit_id: UUID, request: CreditRequest, actor: str, now: datetime) -> Credit:
    """Store a request. Raises InvalidInput `invalid_credit`, Conflict `commit_not_active`."""
    commit = Commit.objects.filter(pk=commit_id).select_related("customer").first()
    if commit is None:
        raise NotFound("unknown_commit", f"no commit {commit_id}")
    if commit.state != CommitState.ACTIVE:
        raise Conflict("commit_not_active", "only an active commit can be credited")
    found = []
    if not request.amount.is_finite() or not 0 < request.amount < Decimal("1e15"):
        found.append("amount is more than 0 dollars")
    elif not is_whole_cents(request.amount):
        found.append("amount is whole cents")
    if not request.reason.strip():
        found.append("a credit has a reason")
    at = request.expires_at
    if at is not None and at != at.replace(minute=0, second=0, microsecond=0):
        found.append("expires_at is a whole UTC hour")
    named = request.quarter
    if named is not None and not Quarter.objects.filter(commit=commit, index=named).exists():
        found.append(f"the commit has no quarter {named}")
    if found:
        raise InvalidInput("invalid_credit", "; ".join(found), problems=found)
    with transaction.atomic():
        credit = Credit(
            id=uuid4(),
            commit=commit,
            amount=request.amount,
            reason=request.reason,
            quarter_index=request.quarter,
            expires_at=at,
            rolls_over=request.rolls_over,
        )
        return two_people.ask(credit, actor_name=actor, now=now)


@retried
def approve_credit(*, credit_id: UUID, actor: str, now: datetime) -> Credit:
    """Issue the credit's grant; it covers accrued overage of its quarter first.

    Doing it again returns the approved credit. Raises NotPermitted `maker_is_checker`,
    Conflict `quarter_posted`, `expired`, `not_open`, NotFound.
    """
    with transaction.atomic(durable=True):
        found = two_people.find(Credit, credit_id, related=("commit",))
        origin_id = found.commit.origin_id
        state = load_chains(origin_ids=[origin_id], lock=True)[origin_id]
        credit = _locked(credit_id)
        if not two_people.may_approve(credit, actor_name=actor):
            return credit
        quarter = _quarter_of(state, credit, now)
        book_and_write([state], now)
        _issue(state, credit, quarter, now)
        credit.quarter_index = quarter.index
        two_people.approve(credit, actor_name=actor, now=now)
        after = load_chains(origin_ids=[origin_id], lock=True)[origin_id]
        book_and_write([after], now)
    return credit


def reject_credit(*, credit_id: UUID, actor: str, now: datetime, why: str = "") -> Credit:
    """Decline a request. Doing it again returns the rejected one. Raises Conflict, NotFound."""
    with transaction.atomic():
        return two_people.reject(_locked(credit_id), actor_name=actor, now=now, why=why)


def _locked(credit_id: UUID) -> Credit:
    return two_people.find(Credit, credit_id, lock=True, related=("commit__customer",))


def _quarter_of(state: ChainState, credit: Credit, now: datetime) -> Quarter:
    """The named quarter, or the one running at approval; it must not be posted."""
    own = [q for q in state.quarters if q.commit_id == credit.commit_id]
    if credit.quarter_index is not None:
        found = [q for q in own if q.index == credit.quarter_index]
    else:
        found = [q for q in own if q.starts_at <= now < q.ends_at]
    if not found or found[0].state == QuarterState.POSTED:
        raise Conflict("quarter_posted", "there is no unposted quarter that it could belong to")
    if credit.expires_at is not None and credit.expires_at <= found[0].starts_at:
        raise Conflict("expired", "the credit would expire before its quarter begins")
    return found[0]


def _issue(state: ChainState, credit: Credit, quarter: Quarter, now: datetime) -> None:
    commit = state.commit_of(quarter)
    inside = credit.expires_at is not None and credit.expires_at < quarter.ends_at
    Grant.objects.create(
        quarter=quarter,
        ref=f"credit:{credit.pk.hex}",
        kind=GrantKind.CREDIT,
        amount=credit.amount,
        # An expiry at or past the quarter's end means the quarter's end.
        expires_at=credit.expires_at if inside else None,
        rolls=credit.rolls_over and not inside,
        paid=False,
        created_at=now,
    )
    scope = Scope(commit.customer_id, commit.pk)
    entry = Entry(
        key=f"credit/{credit.pk}",
        code=EntryCode.CREDIT_GRANTED,
        scope=scope,
        accounting_date=ledger.first_open_date(not_before=now.astimezone(UTC).date()),
        postings=postings_of(scope, *credit_moves(quarter.index, credit.amount)),
        quarter_index=quarter.index,
        description=credit.reason,
    )
    ledger.post_entries(entries=[entry], now=now)
