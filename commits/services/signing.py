"""Signing commits: a draft of the terms, and activation, which makes the promise binding.

Activation opens the quarters, hands the rate card to metering, issues the instalment grants and
drafts the first invoice, all in one database transaction.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid4, uuid5

from django.db import transaction

from billing.domain.errors import InvalidInput, NotFound
from billing.models import Customer, Invoice, Occasion
from billing.services import audit, invoices
from billing.services.retrying import retried
from commits.domain.chain import GrantKind
from commits.domain.periods import first_instant
from commits.domain.terms import CommitTerms, problems
from commits.models import Commit, CommitState, Grant, Quarter
from commits.services import invoicing
from commits.services.chains import load_chains
from commits.services.quarters import extend, open_quarter
from commits.services.succession import book_moved_usage, join_predecessor, make_room
from metering.services import rate_cards
from metering.services.quotes import check_price
from metering.services.rating import hour_of


def create_commit(
    *, terms: CommitTerms, actor: str, now: datetime, commit_id: UUID | None = None
) -> Commit:
    """Store a draft. Raises InvalidInput `invalid_terms` naming every problem, NotFound."""
    found = problems(terms)
    if found:
        raise InvalidInput("invalid_terms", "; ".join(found), problems=found)
    customer = Customer.objects.filter(key=terms.customer_key).first()
    if customer is None:
        raise NotFound("unknown_customer", f"no customer {terms.customer_key!r}")
    for override in terms.overrides:
        agreed = datetime.fromisoformat(override.effective_at) if override.effective_at else None
        check_price(
            model=override.model,
            mode=override.mode,
            meter=override.meter,
            price=override.price,
            effective_at=agreed or hour_of(now),
        )
    commit = _draft(commit_id or uuid4(), customer, terms)
    commit.created_at, commit.created_by = now, actor
    with transaction.atomic():
        commit.save(force_insert=True)
        audit.record(
            at=now,
            actor_name=actor,
            action="create",
            object_type="commit",
            object_ref=str(commit.pk),
            customer_key=customer.key,
            details={"instalments": [str(a) for a in terms.instalments]},
        )
    return commit


def _draft(pk: UUID, customer: Customer, terms: CommitTerms) -> Commit:
    return Commit(
        id=pk,
        customer=customer,
        origin_id=pk,
        starts_on=terms.starts_on,
        timezone=terms.timezone,
        period_months=terms.period_months,
        quarter_count=terms.quarters,
        instalments=list(terms.instalments),
        discount=terms.discount,
        overrides=[{**asdict(one), "price": str(one.price)} for one in terms.overrides],
        price_protection=terms.price_protection,
        grace_hours=terms.grace_hours,
        rollover_fraction=terms.rollover.fraction,
        rollover_cap=terms.rollover.cap,
        rollover_max_times=terms.rollover.max_times,
        end_of_term=terms.end_of_term,
        tail_quarters=terms.tail_quarters,
        auto_approve_max_overage=terms.auto_approve_max_overage,
    )


@retried
def activate_commit(*, commit_id: UUID, actor: str, now: datetime) -> Commit:
    """Make a draft binding. Doing it again returns the active commit unchanged.

    Raises Conflict `commit_overlaps` where another signed commit of the customer is in force in
    its term, NotFound.
    """
    with transaction.atomic():
        commit = lock_commit(commit_id=commit_id)
        if commit.state != CommitState.DRAFT:
            return commit
        customer = commit.customer
        rate_cards.lock_usage(customer_ids=[customer.pk])
        starts_at = first_instant(commit.starts_on, commit.timezone)
        join_predecessor(commit, starts_at, now)
        make_room(commit, starts_at, now)
        card = rate_cards.create_rate_card(
            customer_id=customer.pk,
            protected_from=starts_at if commit.price_protection else None,
            discount=commit.discount,
            starts_at=starts_at,
            overrides=override_rows(commit, starts_at),
        )
        commit.rate_card = card
        commit.state = CommitState.ACTIVE
        commit.activated_at, commit.activated_by = now, actor
        commit.save()
        quarters = [
            open_quarter(commit=commit, index=index, now=now)
            for index in range(1, (commit.quarter_count or 0) + 1)
        ]
        if has_open_end(commit):
            open_quarter(commit=commit, index=len(quarters) + 1, now=now)
            chain = load_chains(origin_ids=[commit.origin_id])[commit.origin_id]
            extend(state=chain, now=now)
        grants = [
            Grant(
                quarter=quarter,
                ref=f"instalment:{quarter.position}",
                kind=GrantKind.INSTALMENT,
                amount=amount,
                created_at=now,
            )
            for quarter, amount in zip(quarters, commit.instalments, strict=False)
            if amount
        ]
        Grant.objects.bulk_create(grants)
        _draft_activation_invoice(commit, quarters, now)
        book_moved_usage(commit.origin_id, now)
        audit.record(
            at=now,
            actor_name=actor,
            action="activate",
            object_type="commit",
            object_ref=str(commit.pk),
            customer_key=customer.key,
        )
    return commit


def lock_commit(*, commit_id: UUID) -> Commit:
    """The commit, its row locked until the database transaction ends. Raises NotFound."""
    commit = (
        Commit.objects.select_for_update(of=("self",), no_key=True)
        .select_related("customer")
        .filter(pk=commit_id)
        .first()
    )
    if commit is None:
        raise NotFound("unknown_commit", f"no commit {commit_id}")
    return commit


def override_rows(commit: Commit, starts_at: datetime) -> list[rate_cards.Override]:
    """The overrides agreed at signing, in force from the commit's start unless they say later."""
    return [
        rate_cards.Override(
            model=row["model"],
            mode=row["mode"],
            meter=row["meter"],
            price=Decimal(row["price"]),
            effective_at=(
                datetime.fromisoformat(row["effective_at"]) if row["effective_at"] else starts_at
            ),
        )
        for row in commit.overrides
    ]


def has_open_end(commit: Commit) -> bool:
    """Whether a quarter follows the term (a tail), or there is no term (uncommitted)."""
    ends_with_term = commit.end_of_term in ("expire", "refund") and commit.tail_quarters is None
    return commit.quarter_count is None or not ends_with_term


def _draft_activation_invoice(
    commit: Commit, quarters: Sequence[Quarter], now: datetime
) -> Invoice | None:
    """The first instalment is billed at activation, unless it is under Stripe's minimum."""
    first = Grant.objects.filter(quarter__in=quarters[:1]).first()
    if first is None:
        return None
    lines = [invoicing.instalment_line(commit, quarters[0], first)]
    if sum(line.amount_cents for line in lines) < invoicing.stripe_minimum_cents():
        return None
    invoice = invoices.draft_invoice(
        invoices.InvoiceDraft(
            id=invoice_id(commit.pk, Occasion.ACTIVATION),
            customer_id=commit.customer_id,
            commit_id=commit.pk,
            occasion=Occasion.ACTIVATION,
            occasion_ref="",
            revision=1,
            lines=tuple(lines),
        ),
        now=now,
    )
    Grant.objects.filter(pk=first.pk).update(invoice=invoice)
    return invoice


def invoice_id(commit_id: UUID, occasion: str, ref: str = "") -> UUID:
    """The id of the first revision of an invoice: the same for every run that drafts it."""
    return uuid5(commit_id, f"{occasion}/{ref}/1")
