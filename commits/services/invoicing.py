"""From planned lines to invoice lines: the words, periods and quarters that a customer reads.

The commit pushes lines down to billing, which knows nothing of commits.
"""

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings

from billing.domain.money import from_cents, to_cents
from billing.models import LineKind
from billing.services.invoices import LineDraft
from commits.domain.close import BillKind, PlannedLine
from commits.models import Commit, Grant, Quarter
from commits.services.chains import ChainState


def stripe_minimum_cents() -> int:
    """Stripe marks a smaller US dollar invoice paid without collecting it."""
    return int(settings.STRIPE_MINIMUM_CENTS)


def _when(quarter: Quarter) -> str:
    start, end = quarter.starts_at.date(), quarter.ends_at.date()
    return f"Q{quarter.index}, from {start.isoformat()} to {end.isoformat()}"


def instalment_line(commit: Commit, quarter: Quarter, grant: Grant) -> LineDraft:
    """The line that bills one instalment in advance."""
    return LineDraft(
        kind=LineKind.INSTALMENT,
        quarter_index=quarter.index,
        description=f"Commit instalment {_when(quarter)} (UTC, end exclusive)",
        amount_cents=to_cents(grant.amount),
        period_start=quarter.starts_at,
        period_end=quarter.ends_at,
        grant_ref=grant.ref,
    )


def true_up_line(quarter: Quarter, grant: Grant) -> LineDraft:
    """The line that bills one true-up grant."""
    return LineDraft(
        kind=LineKind.TRUE_UP,
        quarter_index=quarter.index,
        description=f"True-up {_when(quarter)} (UTC, end exclusive)",
        amount_cents=to_cents(grant.amount),
        period_start=quarter.starts_at,
        period_end=quarter.ends_at,
        grant_ref=grant.ref,
    )


def line_drafts(state: ChainState, lines: Sequence[PlannedLine]) -> list[LineDraft]:
    """Planned lines as invoice lines, in the order of the plan."""
    return [_draft(state.quarters[line.position - 1], line) for line in lines]


def _draft(quarter: Quarter, line: PlannedLine) -> LineDraft:
    start, end = _service_period(quarter)
    return LineDraft(
        kind=LineKind(line.kind.value),
        quarter_index=quarter.index,
        description=describe(quarter, line),
        amount_cents=line.cents,
        period_start=start,
        period_end=end,
        model=line.model,
        mode=line.mode,
        meter=line.meter,
        quantity=line.quantity,
        rate=line.rate,
        grant_ref=line.ref,
    )


def _service_period(quarter: Quarter) -> tuple[datetime, datetime]:
    return quarter.starts_at, quarter.ends_at


def describe(quarter: Quarter, line: PlannedLine) -> str:
    """What the customer reads on one line."""
    if line.kind is BillKind.INSTALMENT:
        return f"Commit instalment {_when(quarter)} (UTC, end exclusive)"
    if line.kind is BillKind.TRUE_UP:
        return f"True-up {_when(quarter)} (UTC, end exclusive)"
    what = "Late usage" if line.kind is BillKind.LATE_USAGE else "Usage above the commit"
    if not line.model:
        return f"{what} of Q{quarter.index}: ${from_cents(line.cents)}"
    meter = line.meter.replace("_", " ")
    return (
        f"{what} of Q{quarter.index}: {line.model}, {line.mode}, "
        f"{line.quantity:,} {meter} at ${line.rate:f} each"
    )
