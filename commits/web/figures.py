"""What the pages show beside the books' figures: estimates, what the balance buys, usage rows.

Reads only, through services; nothing here decides anything about money.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from msgspec import structs

from billing.domain.errors import BillingError
from billing.domain.money import ZERO
from billing.models import Customer
from commits.domain.close import ClosePlan
from commits.models import Commit, Quarter, QuarterState
from commits.services import closes, due_closes, invoicing
from commits.services.balances import Balance
from metering.services import rating, totals, usage_reports

MODELS_SHOWN = 4
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class EstimatedLine:
    """A line that the next invoice would have now."""

    kind: str
    description: str
    cents: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """The invoice of a quarter's close, if it closed with what is known now."""

    quarter: Quarter
    due_at: datetime
    total_cents: int
    carried_cents: int
    lines: Sequence[EstimatedLine]
    is_running: bool

    @property
    def by_kind(self) -> list[tuple[str, int]]:
        """Cents by kind of line, in the order of the invoice."""
        sums: dict[str, int] = {}
        for line in self.lines:
            sums[line.kind] = sums.get(line.kind, 0) + line.cents
        return list(sums.items())


@dataclass(frozen=True, slots=True)
class Affordable:
    """How much more of one meter the balance would buy at its committed rate."""

    model: str
    mode: str
    meter: str
    rate: Decimal
    quantity: int


def estimates(*, commit: Commit, now: datetime) -> list[Estimate]:
    """The next invoices: of every quarter that has begun and is not posted, in order."""
    begun = Quarter.objects.filter(commit=commit, starts_at__lte=now).exclude(
        state=QuarterState.POSTED
    )
    found: list[Estimate] = []
    billed: set[str] = set()
    for index in begun.order_by("index").values_list("index", flat=True):
        try:
            quarter, plan, _, _ = closes.preview_close(commit_id=commit.pk, index=index)
        except BillingError:  # Posted between the two reads.
            continue
        # Each plan bills what no invoice has billed, so a grant may stand in two of them.
        lines = [line for line in plan.lines if not line.ref or line.ref not in billed]
        billed |= {line.ref for line in lines}
        found.append(_estimate(commit, quarter, structs.replace(plan, lines=tuple(lines)), now))
    return found


def _estimate(commit: Commit, quarter: Quarter, plan: ClosePlan, now: datetime) -> Estimate:
    quarters = {
        item.position: item
        for item in Quarter.objects.filter(
            origin=quarter.origin_id, position__in={line.position for line in plan.lines}
        )
    }
    lines = [
        EstimatedLine(
            line.kind.value, invoicing.describe(quarters[line.position], line), line.cents
        )
        for line in plan.lines
    ]
    return Estimate(
        quarter,
        due_closes.due_at(commit, quarter),
        plan.total_cents,
        plan.carried_cents,
        lines,
        quarter.starts_at <= now < quarter.ends_at,
    )


def _in(quarter: Quarter, now: datetime) -> datetime:
    """Now, or the nearest hour of the quarter."""
    return min(max(now, quarter.starts_at), quarter.ends_at - HOUR)


def rate_instant(quarter: Quarter, now: datetime) -> str:
    """The instant that rates of a quarter's page are explained for, as an address carries it."""
    return f"{_in(quarter, now).astimezone(UTC):%Y-%m-%dT%H:%M}"


def usage_groups(quarter: Quarter) -> list[totals.GroupTotal]:
    """The quarter's rated usage by model, mode, meter and rate, the dearest first."""
    found = totals.period_totals(period_ids=[quarter.usage_period_id])
    groups = found.get(quarter.usage_period_id, [])
    return sorted(groups, key=lambda group: (-group.amount, group))


def by_project(quarter: Quarter, customer: Customer) -> list[usage_reports.UsageRow]:
    """Spend of a quarter by project, the dearest first; nothing where no project was named."""
    try:
        rows = usage_reports.usage_rows(
            customer_id=customer.pk,
            start=quarter.starts_at,
            end=quarter.ends_at,
            group_by=["project"],
        )
    except BillingError:  # A zone whose days begin inside an hour: the rollups cannot tell.
        return []
    named = any(row.project for row in rows)
    return sorted(rows, key=lambda row: -row.amount) if named else []


def affordable(balance: Balance) -> list[Affordable]:
    """For the models that the customer uses most, what the balance still buys of each meter."""
    groups = usage_groups(balance.quarter)
    spent: dict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
    for group in groups:
        spent[(group.model, group.mode)] += group.amount
    top = sorted(spent, key=lambda kind: (-spent[kind], kind))[:MODELS_SHOWN]
    at = _in(balance.quarter, balance.as_of)
    meters = sorted({(group.model, group.mode, group.meter) for group in groups})
    rows = []
    for model, mode, meter in meters:
        if (model, mode) not in top:
            continue
        try:
            rate = rating.explain_rate(
                customer_id=balance.customer.pk,
                occurred_at=at,
                model=model,
                mode=mode,
                meter=meter,
            ).rate
        except BillingError:  # No price any more: nothing to say of this meter.
            continue
        if rate:
            left = int((balance.available or Decimal(1)) // rate)
            rows.append(Affordable(model, mode, meter, rate, left))
    return sorted(rows, key=lambda row: (top.index((row.model, row.mode)), row.meter))


def commits_of(customer: Customer) -> list[Commit]:
    """All signed commits of a customer, the latest first."""
    return list(
        Commit.objects.filter(customer=customer).exclude(state="draft").order_by("-starts_on")
    )
