"""Laws that hold whatever the oracle says: read off the books alone."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, transaction

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
    from billing.models import LedgerAccount
    from commits.services.proof import commit_problems

    found = list(commit_problems())
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
    if booked and -sum(revenue, Decimal(0)) != used:
        found.append(f"revenue of {-sum(revenue, Decimal(0))} for usage of {used}")
    return found


def broken_proofs() -> list[str]:
    """The product's proofs, in full."""
    from billing.services.proof import ledger_problems
    from metering.services.proof import rederive_rollups

    return [*ledger_problems(), *rederive_rollups()]
