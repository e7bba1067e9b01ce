"""True-ups: a mid-contract increase of a commit, asked for by one person, approved by another."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid4

from django.db import transaction

from billing.domain.errors import Conflict, InvalidInput, NotFound
from billing.domain.money import is_whole_cents
from billing.models import Occasion, RequestState
from billing.services import invoices, two_people
from billing.services.retrying import retried
from commits.domain.chain import GrantKind
from commits.domain.periods import next_hour
from commits.models import Commit, CommitState, Grant, Quarter, QuarterState, TrueUp
from commits.services import invoicing
from commits.services.books import book_and_write
from commits.services.chains import ChainState, load_chains
from commits.services.signing import invoice_id
from metering.services import rate_cards


@dataclass(frozen=True, slots=True)
class TrueUpRequest:
    """What is asked for. `amount` is dollars a quarter in whole cents; quarters count from 1."""

    amount: Decimal
    from_quarter: int | None = None
    through_quarter: int | None = None
    discount: Decimal | None = None
    effective_at: datetime | None = None
    bill_now: bool = False


def request_true_up(
    *, commit_id: UUID, request: TrueUpRequest, actor: str, now: datetime
) -> TrueUp:
    """Store a request. Raises InvalidInput `invalid_true_up`, Conflict `commit_not_active`."""
    commit = Commit.objects.filter(pk=commit_id).select_related("customer").first()
    if commit is None:
        raise NotFound("unknown_commit", f"no commit {commit_id}")
    if commit.state != CommitState.ACTIVE or commit.quarter_count is None:
        raise Conflict("commit_not_active", "only an active signed commit can be trued up")
    first, last = _range(commit, request, now)
    found = _problems(commit, request, first, last)
    if found:
        raise InvalidInput("invalid_true_up", "; ".join(found), problems=found)
    with transaction.atomic():
        true_up = TrueUp(
            id=uuid4(),
            commit=commit,
            amount=request.amount,
            from_quarter=first,
            through_quarter=last,
            discount=request.discount,
            effective_at=request.effective_at,
            bill_now=request.bill_now,
        )
        return two_people.ask(true_up, actor_name=actor, now=now)


def _range(commit: Commit, request: TrueUpRequest, now: datetime) -> tuple[int, int]:
    last = commit.quarter_count or 1
    running = (
        Quarter.objects.filter(commit=commit, is_tail=False, ends_at__gt=now)
        .order_by("index")
        .values_list("index", flat=True)
        .first()
    )
    first = request.from_quarter or running or last + 1
    return first, request.through_quarter or last


def _problems(commit: Commit, request: TrueUpRequest, first: int, last: int) -> list[str]:
    found = []
    if not request.amount.is_finite() or not 0 < request.amount < Decimal("1e15"):
        found.append("amount is more than 0 dollars")
    elif not is_whole_cents(request.amount):
        found.append("amount is whole cents")
    if not 1 <= first <= last <= (commit.quarter_count or 0):
        found.append("from_quarter and through_quarter lie in the term, in this order")
    elif Quarter.objects.filter(commit=commit, index=first, state=QuarterState.POSTED).exists():
        found.append(f"quarter {first} is posted already")
    if request.discount is not None:
        current = current_discount(commit)
        if not request.discount.is_finite() or not current <= request.discount < 1:
            found.append(f"discount is at least the present {current} and below 1")
        at = request.effective_at
        if at is not None and at != at.replace(minute=0, second=0, microsecond=0):
            found.append("effective_at is a whole UTC hour")
    elif request.effective_at is not None:
        found.append("effective_at goes with a discount")
    return found


def current_discount(commit: Commit) -> Decimal:
    """The best discount that the commit has been given so far."""
    best: Decimal = commit.discount
    for true_up in commit.true_ups.filter(state=RequestState.APPROVED):
        best = max(best, true_up.discount or best)
    return best


@retried
def approve_true_up(*, true_up_id: UUID, actor: str, now: datetime) -> TrueUp:
    """Make the increase binding. Doing it again returns the approved true-up.

    Where a quarter's instalment has been invoiced a `true_up` grant is issued at once (it covers
    accrued overage first); elsewhere the instalment grows. A request whose first quarters have
    posted meanwhile starts with the next one. Raises NotPermitted `maker_is_checker`,
    Conflict `not_open`, `term_is_over`, NotFound.
    """
    with transaction.atomic(durable=True):
        return approve_true_up_in(true_up_id=true_up_id, actor=actor, now=now)


def approve_true_up_in(*, true_up_id: UUID, actor: str, now: datetime) -> TrueUp:
    """`approve_true_up` inside the caller's database transaction (a preview gives it up)."""
    found = two_people.find(TrueUp, true_up_id, related=("commit",))
    origin_id = found.commit.origin_id
    state = load_chains(origin_ids=[origin_id], lock=True)[origin_id]
    true_up = _locked(true_up_id)
    if not two_people.may_approve(true_up, actor_name=actor):
        return true_up
    book_and_write([state], now)
    issued = _issue(state, true_up, now)
    if true_up.bill_now and issued:
        _bill(state, true_up, issued, now)
    _apply_discount(true_up, now)
    two_people.approve(true_up, actor_name=actor, now=now)
    after = load_chains(origin_ids=[origin_id], lock=True)[origin_id]
    book_and_write([after], now)
    return true_up


def _issue(state: ChainState, true_up: TrueUp, now: datetime) -> list[tuple[Quarter, Grant]]:
    """Grow instalments or issue grants, quarter by quarter. Returns the grants issued."""
    commit = true_up.commit
    term = [q for q in state.quarters if q.commit_id == commit.pk and not q.is_tail]
    unposted = [q.index for q in term if q.state != QuarterState.POSTED]
    first = max(true_up.from_quarter, min(unposted, default=len(term) + 1))
    if first > len(term):
        raise Conflict("term_is_over", "no quarter of the term is left to be trued up")
    last = max(true_up.through_quarter, first)
    true_up.from_quarter, true_up.through_quarter = first, last
    open_position = state.open_quarter.position if state.open_quarter else 0
    issued = []
    for quarter in term[first - 1 : last]:
        instalment = next(
            (g for g in state.issued[quarter.position] if g.kind == GrantKind.INSTALMENT), None
        )
        if instalment is not None and instalment.invoice_id is None:
            instalment.amount += true_up.amount
            instalment.save(update_fields=["amount"])
            continue
        grant = Grant(
            quarter=quarter,
            ref=f"true_up:{true_up.pk.hex}:{quarter.position}",
            kind=GrantKind.TRUE_UP,
            amount=true_up.amount,
            true_up=true_up,
            created_at=now,
        )
        # A first instalment of nothing was billed at the activation, like any other.
        if instalment is None and quarter.position > open_position and quarter.index > 1:
            grant.kind, grant.ref = GrantKind.INSTALMENT, f"instalment:{quarter.position}"
        grant.save()
        if grant.kind == GrantKind.TRUE_UP:
            issued.append((quarter, grant))
    return issued


def _bill(
    state: ChainState, true_up: TrueUp, issued: list[tuple[Quarter, Grant]], now: datetime
) -> None:
    lines = [invoicing.true_up_line(quarter, grant) for quarter, grant in issued]
    if sum(line.amount_cents for line in lines) < invoicing.stripe_minimum_cents():
        return
    invoice = invoices.draft_invoice(
        invoices.InvoiceDraft(
            id=invoice_id(true_up.commit_id, Occasion.TRUE_UP, true_up.pk.hex),
            customer_id=state.origin.customer_id,
            commit_id=true_up.commit_id,
            occasion=Occasion.TRUE_UP,
            occasion_ref=true_up.pk.hex,
            revision=1,
            lines=tuple(lines),
        ),
        now=now,
    )
    Grant.objects.filter(pk__in=[grant.pk for _, grant in issued]).update(invoice=invoice)


def _apply_discount(true_up: TrueUp, now: datetime) -> None:
    """The better discount starts at a whole hour that is not before the approval."""
    if true_up.discount is None or true_up.commit.rate_card_id is None:
        return
    earliest = next_hour(now)
    true_up.effective_at = max(true_up.effective_at or earliest, earliest)
    rate_cards.set_discount(
        card_id=true_up.commit.rate_card_id,
        discount=true_up.discount,
        effective_at=true_up.effective_at,
    )


def reject_true_up(*, true_up_id: UUID, actor: str, now: datetime, why: str = "") -> TrueUp:
    """Decline a request. Doing it again returns the rejected one. Raises Conflict, NotFound."""
    with transaction.atomic():
        return two_people.reject(_locked(true_up_id), actor_name=actor, now=now, why=why)


def _locked(true_up_id: UUID) -> TrueUp:
    return two_people.find(TrueUp, true_up_id, lock=True, related=("commit__customer",))
