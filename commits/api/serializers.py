"""What the commit routes accept and answer. Parsing only: no rule of the domain lives here."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.api.fields import (
    CentsMoneyField,
    DecimalTextField,
    FlagField,
    InstantField,
    MoneyField,
    StrictSerializer,
    TextField,
    WholeNumberField,
)
from billing.domain.money import plain
from commits.domain.policies import EndOfTerm, RolloverPolicy
from commits.domain.terms import CommitTerms, OverrideTerm
from commits.models import Commit, Credit, OverrideRequest, TrueUp
from commits.services.balances import Balance, QuarterView
from commits.services.closes import CloseRow
from commits.services.true_ups import TrueUpRequest
from metering.domain.meters import Mode


class ShareField(DecimalTextField):
    """A share from 0 to 1, such as a discount."""

    def __init__(self, **options: Any) -> None:
        super().__init__(decimals=8, maximum=Decimal(1), **options)


def parse(kind: type[StrictSerializer], data: Any) -> dict[str, Any]:
    """What a request says, validated. Raises DRF's ValidationError naming every problem."""
    serializer = kind(data=data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def instant(value: datetime | None) -> str | None:
    """An instant as RFC 3339 in UTC."""
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


class OverrideSerializer(StrictSerializer):
    """A fixed price for one (model or sku, mode, meter)."""

    model = TextField(max_length=200, required=False)
    sku = TextField(max_length=200, required=False)
    mode = serializers.ChoiceField(choices=[mode.value for mode in Mode])
    meter = TextField(max_length=64)
    price = MoneyField()
    effective_at = InstantField(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("model" in attrs) == ("sku" in attrs):
            raise serializers.ValidationError("give either model or sku")
        return attrs


class RolloverSerializer(StrictSerializer):
    fraction = ShareField(required=False)
    cap = CentsMoneyField(required=False, allow_null=True)
    max_times = WholeNumberField(required=False, allow_null=True)


class EndOfTermSerializer(StrictSerializer):
    kind = serializers.ChoiceField(choices=[kind.value for kind in EndOfTerm])
    quarters = WholeNumberField(required=False, allow_null=True)


class AutoApproveSerializer(StrictSerializer):
    max_overage = CentsMoneyField(required=False, allow_null=True)


@extend_schema_field(
    {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
)
class InstalmentField(serializers.Field[Any, Any, Any, Any]):
    """One dollar amount for every quarter, or a list with one for each."""

    def to_internal_value(self, data: Any) -> Any:
        one = CentsMoneyField()
        if isinstance(data, list):
            return [one.run_validation(item) for item in data]
        return one.run_validation(data)

    def to_representation(self, value: Any) -> Any:
        return value


class CommitSerializer(StrictSerializer):
    """The terms of a commit as finance states them."""

    customer = TextField(max_length=64)
    starts_on = serializers.DateField()
    quarters = WholeNumberField(allow_null=True, min_value=1, max_value=80)
    instalment = InstalmentField()
    discount = ShareField()
    period_months = WholeNumberField(required=False)
    overrides = OverrideSerializer(many=True, required=False)
    price_protection = FlagField(required=False)
    grace_hours = WholeNumberField(required=False)
    rollover = RolloverSerializer(required=False, allow_null=True)
    end_of_term = EndOfTermSerializer(required=False, allow_null=True)
    auto_approve = AutoApproveSerializer(required=False, allow_null=True)


def commit_terms(given: dict[str, Any], timezone: str) -> CommitTerms:
    """The validated request as terms, with the defaults of a commit."""
    quarters = given["quarters"]
    stated = given["instalment"]
    instalments = stated if isinstance(stated, list) else [stated] * (quarters or 0)
    if quarters is None and not isinstance(stated, list):
        instalments = [stated] if stated else []
    rollover = given.get("rollover") or {}
    end = given.get("end_of_term") or {}
    return CommitTerms(
        customer_key=given["customer"],
        starts_on=given["starts_on"],
        quarters=quarters,
        instalments=tuple(instalments),
        discount=given["discount"],
        timezone=timezone,
        period_months=given.get("period_months", 3),
        overrides=tuple(_override(item) for item in given.get("overrides", ())),
        price_protection=given.get("price_protection", True),
        grace_hours=given.get("grace_hours", 72),
        rollover=RolloverPolicy(
            **{key: value for key, value in rollover.items() if value is not None}
        ),
        end_of_term=EndOfTerm(end.get("kind", EndOfTerm.TAIL)),
        tail_quarters=end.get("quarters"),
        auto_approve_max_overage=(given.get("auto_approve") or {}).get("max_overage"),
    )


def _override(given: dict[str, Any]) -> OverrideTerm:
    at = given.get("effective_at")
    return OverrideTerm(
        model=given.get("model") or given["sku"],
        mode=given["mode"],
        meter=given["meter"],
        price=given["price"],
        effective_at=at.isoformat() if at else None,
    )


class TrueUpSerializer(StrictSerializer):
    amount = CentsMoneyField()
    from_quarter = WholeNumberField(required=False, allow_null=True)
    through_quarter = WholeNumberField(required=False, allow_null=True)
    discount = ShareField(required=False, allow_null=True)
    effective_at = InstantField(required=False, allow_null=True)
    bill_now = FlagField(required=False)


def true_up_request(given: dict[str, Any]) -> TrueUpRequest:
    """The validated request as the service takes it."""
    return TrueUpRequest(**given)


class CreditSerializer(StrictSerializer):
    amount = CentsMoneyField()
    reason = TextField(max_length=300)
    quarter = WholeNumberField(required=False, allow_null=True)
    expires_at = InstantField(required=False, allow_null=True)
    rolls_over = FlagField(required=False)


class ClosesSerializer(StrictSerializer):
    as_of = InstantField()
    commit = serializers.UUIDField(required=False, allow_null=True)


class ApprovalSerializer(StrictSerializer):
    digest = TextField(required=False, allow_null=True, max_length=64)


class ClockSerializer(StrictSerializer):
    now = InstantField()


def commit_body(commit: Commit) -> dict[str, Any]:
    """A commit as the API shows it."""
    return {
        "id": str(commit.pk),
        "customer": commit.customer.key,
        "state": commit.state,
        "starts_on": commit.starts_on.isoformat(),
        "quarters": commit.quarter_count,
        "instalment": [f"{amount:.2f}" for amount in commit.instalments],
        "discount": str(commit.discount.normalize()) if commit.discount else "0",
        "timezone": commit.timezone,
        "period_months": commit.period_months,
        "overrides": commit.overrides,
        "price_protection": commit.price_protection,
        "grace_hours": commit.grace_hours,
        "rollover": {
            "fraction": str(commit.rollover_fraction),
            "cap": None if commit.rollover_cap is None else f"{commit.rollover_cap:.2f}",
            "max_times": commit.rollover_max_times,
        },
        "end_of_term": {"kind": commit.end_of_term, "quarters": commit.tail_quarters},
        "auto_approve": (
            None
            if commit.auto_approve_max_overage is None
            else {"max_overage": f"{commit.auto_approve_max_overage:.2f}"}
        ),
        "created_at": instant(commit.created_at),
        "activated_at": instant(commit.activated_at),
    }


def balance_body(balance: Balance) -> dict[str, Any]:
    """A balance as the API shows it."""
    quarter = balance.quarter
    return {
        "customer": balance.customer.key,
        "as_of": instant(balance.as_of),
        "commit": str(balance.commit.pk),
        "quarter": {
            "index": quarter.index,
            "starts_at": instant(quarter.starts_at),
            "ends_at": instant(quarter.ends_at),
            "state": balance.state,
        },
        "granted": plain(balance.granted),
        "used": plain(balance.used),
        "available": plain(balance.available),
        "overage": plain(balance.overage),
        "pending_rollover": plain(balance.pending_rollover),
        "unrated_events": balance.unrated_events,
        "grants": [
            {
                "id": balance.grant_ids.get(item.grant.ref),
                "kind": item.grant.kind.value,
                "amount": plain(item.grant.amount),
                "remaining": plain(item.remaining),
                "expires_at": instant(item.grant.expires_at or quarter.ends_at),
            }
            for item in balance.grants
        ],
        "runs_out_at": instant(balance.runs_out_at),
    }


def quarter_body(view: QuarterView) -> dict[str, Any]:
    """One quarter with the recomputed chain's figures."""
    figures = view.figures
    return {
        "index": view.quarter.index,
        "starts_at": instant(view.quarter.starts_at),
        "ends_at": instant(view.quarter.ends_at),
        "state": view.state,
        "tail": view.quarter.is_tail,
        "granted": plain(figures.granted),
        "rolled_in": plain(figures.rolled_in),
        "used": plain(figures.used),
        "overage": plain(figures.overage),
        "rolled_out": plain(figures.rolled_out),
        "breakage": plain(figures.breakage),
        "invoice": str(view.quarter.invoice_id) if view.quarter.invoice_id else None,
    }


def close_row_body(row: CloseRow) -> dict[str, Any]:
    """What a run of the closes did for one quarter."""
    return {
        "commit": str(row.commit_id),
        "customer": row.customer_key,
        "quarter": row.quarter_index,
        "state": row.state,
        "digest": row.digest,
        "overage": row.plan["overage"],
        "rolled_out": row.plan["rolled_out"],
        "total_cents": row.plan["total_cents"],
        "invoice": str(row.invoice_id) if row.invoice_id else None,
        "needs_human": list(row.needs_human),
    }


def true_up_body(true_up: TrueUp) -> dict[str, Any]:
    """A true-up as the API shows it."""
    return {
        "id": str(true_up.pk),
        "commit": str(true_up.commit_id),
        "amount": f"{true_up.amount:.2f}",
        "from_quarter": true_up.from_quarter,
        "through_quarter": true_up.through_quarter,
        "discount": None if true_up.discount is None else str(true_up.discount.normalize()),
        "effective_at": instant(true_up.effective_at),
        "bill_now": true_up.bill_now,
        "state": true_up.state,
        "requested_by": true_up.requested_by,
        "decided_by": true_up.decided_by or None,
        "rejected_because": true_up.rejected_because or None,
    }


def credit_body(credit: Credit) -> dict[str, Any]:
    """A credit as the API shows it."""
    return {
        "id": str(credit.pk),
        "commit": str(credit.commit_id),
        "amount": f"{credit.amount:.2f}",
        "reason": credit.reason,
        "quarter": credit.quarter_index,
        "expires_at": instant(credit.expires_at),
        "rolls_over": credit.rolls_over,
        "state": credit.state,
        "requested_by": credit.requested_by,
        "decided_by": credit.decided_by or None,
        "rejected_because": credit.rejected_because or None,
    }


def override_body(override: OverrideRequest) -> dict[str, Any]:
    """A requested or approved override as the API shows it."""
    return {
        "id": str(override.pk),
        "commit": str(override.commit_id),
        "model": override.model,
        "mode": override.mode,
        "meter": override.meter,
        "price": plain(override.price),
        "effective_at": instant(override.effective_at),
        "state": override.state,
        "requested_by": override.requested_by,
        "decided_by": override.decided_by or None,
        "rejected_because": override.rejected_because or None,
    }


def is_uuid(value: str) -> bool:
    """Whether a word can name a commit at all."""
    try:
        UUID(value)
    except ValueError:
        return False
    return True
