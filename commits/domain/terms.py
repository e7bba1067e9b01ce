"""The terms of a commit as someone states them, and all that can be wrong with them."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from billing.domain.money import is_whole_cents
from commits.domain.policies import EndOfTerm, RolloverPolicy

MAX_QUARTERS = 80
MAX_INSTALMENT = Decimal("1e15")
MAX_GRACE_HOURS = 24 * 60
# Usage is taken from 2000 on; every quarter from the start to today is opened at activation.
EARLIEST_START = date(2000, 1, 1)
LATEST_START = date(2999, 12, 31)


@dataclass(frozen=True, slots=True)
class OverrideTerm:
    """A fixed price for one (model or sku, mode, meter), quoted as in the price book."""

    model: str
    mode: str
    meter: str
    price: Decimal
    effective_at: str | None = None


@dataclass(frozen=True, slots=True)
class CommitTerms:
    """What a customer and finance agree on. Amounts are dollars in whole cents.

    `quarters` is None for an uncommitted customer: instalment 0, discount 0, no end.
    """

    customer_key: str
    starts_on: date
    quarters: int | None
    instalments: tuple[Decimal, ...]
    discount: Decimal
    timezone: str = "UTC"
    period_months: int = 3
    overrides: tuple[OverrideTerm, ...] = ()
    price_protection: bool = True
    grace_hours: int = 72
    rollover: RolloverPolicy = field(default_factory=RolloverPolicy)
    end_of_term: EndOfTerm = EndOfTerm.TAIL
    tail_quarters: int | None = None
    auto_approve_max_overage: Decimal | None = None
    predecessor: UUID | None = None


def problems(terms: CommitTerms) -> list[str]:
    """Everything that is wrong with the terms, not just the first thing."""
    found = [*_amount_problems(terms), *_policy_problems(terms)]
    if terms.quarters is None:
        if any(terms.instalments) or terms.discount:
            found.append("an uncommitted customer has instalment 0 and discount 0")
        if terms.period_months not in (1, 3):
            found.append("period_months is 1 or 3")
    else:
        if not 1 <= terms.quarters <= MAX_QUARTERS:
            found.append(f"quarters is a whole number from 1 to {MAX_QUARTERS}")
        elif len(terms.instalments) != terms.quarters:
            found.append("instalment is one amount, or one for each quarter")
        if terms.period_months != 3:
            found.append("a signed commit has quarters of three months")
    if not EARLIEST_START <= terms.starts_on <= LATEST_START:
        found.append(f"starts_on lies from {EARLIEST_START} to {LATEST_START}")
    try:
        ZoneInfo(terms.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        found.append(f"{terms.timezone!r} is no known time zone")
    return found


def _amount_problems(terms: CommitTerms) -> list[str]:
    found = []
    for amount in terms.instalments:
        if not amount.is_finite() or not 0 <= amount <= MAX_INSTALMENT:
            found.append("an instalment is a dollar amount of at least 0")
        elif not is_whole_cents(amount):
            found.append(f"instalment {amount} is not whole cents")
    if not terms.discount.is_finite() or not 0 <= terms.discount < 1:
        found.append("discount is a share from 0 to below 1, such as 0.20")
    maximum = terms.auto_approve_max_overage
    if maximum is not None and not (maximum.is_finite() and maximum >= 0):
        found.append("auto_approve.max_overage is a dollar amount of at least 0")
    elif maximum is not None and not is_whole_cents(maximum):
        found.append("auto_approve.max_overage is not whole cents")
    return found


def _policy_problems(terms: CommitTerms) -> list[str]:
    found = []
    if not 0 <= terms.grace_hours <= MAX_GRACE_HOURS:
        found.append(f"grace_hours is from 0 to {MAX_GRACE_HOURS}")
    rollover = terms.rollover
    if not rollover.fraction.is_finite() or not 0 <= rollover.fraction <= 1:
        found.append("rollover.fraction is a share from 0 to 1")
    if rollover.cap is not None and not (rollover.cap.is_finite() and rollover.cap >= 0):
        found.append("rollover.cap is a dollar amount of at least 0")
    elif rollover.cap is not None and not is_whole_cents(rollover.cap):
        found.append("rollover.cap is not whole cents")
    if rollover.max_times is not None and rollover.max_times < 0:
        found.append("rollover.max_times is at least 0")
    if terms.tail_quarters is not None and terms.tail_quarters < 1:
        found.append("end_of_term.quarters is at least 1")
    return found
