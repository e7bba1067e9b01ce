"""Laws that hold whatever the oracle says: read off the books alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import DatabaseError, transaction
from django.db.models import Sum

from tests.prove.database import check_deferred_constraints

if TYPE_CHECKING:
    from tests.prove.product import Product


def broken_constraints() -> list[str]:
    """What the database would refuse at a commit: an entry that does not sum to zero."""
    try:
        with transaction.atomic():
            check_deferred_constraints()
    except DatabaseError as error:
        return [f"a deferred constraint is broken: {error}"]
    return []


def broken_laws(product: Product, shown: Sequence[Sequence[Any]], *, booked: bool) -> list[str]:
    """Used = drawn + overage; no drawable money beside overage; conservation; the own proof."""
    from billing.models import CreditNote, LedgerAccount
    from commits.services.proof import commit_problems

    found = [*commit_problems(), *broken_conservation()]
    used = Decimal(0)
    for key, views in zip(product.commits, shown, strict=True):
        for view in views:
            figures, name = view.figures, f"{key} Q{view.quarter.index}"
            used += figures.used
            if figures.used != figures.drawn + figures.overage:
                found.append(f"{name}: used is not drawn + overage")
            whole = [g for g in figures.grants if g.grant.expires_at is None]
            left = sum((g.grant.amount - g.drawn - g.returned for g in whole), Decimal(0))
            if left and figures.overage:
                found.append(f"{name}: {left} was drawable beside overage {figures.overage}")
            if min((g.drawn for g in figures.grants), default=Decimal(0)) < 0:
                found.append(f"{name}: a grant is drawn below zero")
            if min((g.remaining for g in figures.grants), default=Decimal(0)) < 0:
                found.append(f"{name}: a grant is overdrawn")
    revenue = LedgerAccount.objects.filter(
        code__in=["usage_revenue", "overage_revenue"]
    ).values_list("balance", flat=True)
    conceded = CreditNote.objects.filter(debited="overage_revenue", state="approved")
    cents = conceded.aggregate(cents=Sum("total_cents"))["cents"] or 0
    earned = Decimal(cents) / 100 - sum(revenue, Decimal(0))
    if booked and earned != used:
        found.append(f"revenue of {earned} for usage of {used}")
    return found


def broken_after_closes(now: datetime) -> list[str]:
    """Right after a close at most half a cent is unbilled, or less than Stripe's minimum."""
    from commits.models import Quarter
    from commits.services.chains import unbilled_overage
    from commits.services.invoicing import stripe_minimum_cents

    found = []
    for closed in Quarter.objects.filter(posted_at=now):
        left = unbilled_overage(Quarter.objects.filter(origin=closed.origin_id))
        least = Decimal(stripe_minimum_cents()) / 100
        if abs(left) > Decimal("0.005") and not (closed.invoice_id is None and 0 < left < least):
            found.append(f"{left} is unbilled right after the close of Q{closed.index}")
    return found


def broken_conservation() -> list[str]:
    """Late amount = balance drawn + extra overage + breakage undone, entry by entry and in all.

    What the late entries of a quarter come to is what it has used more (or less) than its close
    had seen.
    """
    from billing.models import JournalEntry
    from commits.models import Close, Quarter

    late: Counter[tuple[UUID, int]] = Counter()
    found = []
    entries = JournalEntry.objects.filter(code="usage.late").prefetch_related("postings__account")
    for entry in entries:
        moved: Counter[str] = Counter()
        for posting in entry.postings.all():
            moved[posting.account.code] += posting.amount
        amount = -moved.pop("usage_revenue", 0) - moved.pop("overage_revenue", 0)
        parts = [moved.pop(code, 0) for code in WHERE_LATE_USAGE_GOES]
        if amount != sum(parts) or moved:
            found.append(f"{entry.key}: late {amount} is not {parts}, besides {dict(moved)}")
        _, origin, _, position, _ = entry.key.split("/")
        late[UUID(origin), int(position)] += amount
    for quarter in Quarter.objects.filter(state="posted"):
        seen = Decimal(Close.objects.get(quarter=quarter, state="posted").plan["used"])
        more = quarter.booked_drawn + quarter.booked_overage - seen
        if late[quarter.origin_id, quarter.position] != more:
            found.append(f"Q{quarter.index}: {more} came late, its entries say otherwise")
    return found


WHERE_LATE_USAGE_GOES = (
    "deferred_revenue",
    "unbilled_receivable",
    "breakage_revenue",
    "contra_revenue",
)


def broken_proofs() -> list[str]:
    """The product's proofs, in full."""
    from billing.services.proof import ledger_problems
    from commits.services.explained import explained_share
    from metering.services.proof import rederive_rollups

    return [*ledger_problems(), *rederive_rollups(), *explained_share().problems]
