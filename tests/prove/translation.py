"""The oracle's terms and events in the product's words."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.oracle import happenings as told
from tests.oracle.money import RATE_DECIMALS
from tests.oracle.quarters import boundary
from tests.oracle.terms import Commit, Price

TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens")


def decimal_of(value: Fraction) -> Decimal:
    """A fraction as the decimal that it is, exactly."""
    scaled = value * 10**RATE_DECIMALS
    if scaled.denominator != 1:
        raise ValueError(f"{value} has more than {RATE_DECIMALS} decimals")
    return Decimal(scaled.numerator).scaleb(-RATE_DECIMALS)


def terms_of(commit: Commit) -> Any:
    """The oracle's terms as the product's."""
    from commits.domain.policies import EndOfTerm, RolloverPolicy
    from commits.domain.terms import CommitTerms, OverrideTerm

    start = boundary(commit, 1)

    def override(price: Price) -> OverrideTerm:
        at = None if price.effective_at == start else price.effective_at.isoformat()
        return OverrideTerm(price.model, price.mode, price.meter, decimal_of(price.price), at)

    return CommitTerms(
        customer_key=commit.customer,
        starts_on=commit.starts_on,
        quarters=commit.quarters,
        instalments=tuple(decimal_of(amount) for amount in commit.instalments),
        discount=decimal_of(commit.discount),
        timezone=commit.zone,
        period_months=commit.period_months,
        overrides=tuple(override(price) for price in commit.overrides),
        price_protection=commit.price_protection,
        grace_hours=int(commit.grace.total_seconds() // 3600),
        rollover=RolloverPolicy(
            decimal_of(commit.rollover.fraction),
            None if commit.rollover.cap is None else decimal_of(commit.rollover.cap),
            commit.rollover.max_times,
        ),
        end_of_term=EndOfTerm(commit.end),
        tail_quarters=commit.end_quarters,
        auto_approve_max_overage=(
            None if commit.max_overage is None else decimal_of(commit.max_overage)
        ),
    )


def cloud_event(event: told.Use | told.Void) -> dict[str, Any]:
    """An event as an agent reports it: tokens and GPU-seconds in their own types."""
    envelope = {"specversion": "1.0", "id": event.id, "source": event.source,
                "subject": event.customer}  # fmt: skip
    if isinstance(event, told.Void):
        target = {"source": event.target_source, "id": event.target_id}
        at = event.at.isoformat()
        return {**envelope, "time": at, "type": "inference.void", "data": target}
    counted = dict(event.quantities)
    data: dict[str, Any] = {"mode": event.mode}
    if counted.keys() <= set(TOKENS):
        cached = counted.get("cached_input_tokens", 0)
        kind = "inference.tokens"
        data |= {
            "model": event.model,
            "input_tokens": counted.get("input_tokens", 0) + cached,
            "cached_input_tokens": cached,
            "output_tokens": counted.get("output_tokens", 0),
        }
    elif counted.keys() == {"gpu_seconds"}:
        kind = "inference.gpu"
        data |= {"sku": event.model, **counted}
    else:
        kind = "inference.usage"
        data |= {"model": event.model, "quantities": counted}
    return {**envelope, "time": event.occurred_at.isoformat(), "type": kind, "data": data}
