"""The shapes that the commit routes answer with, for the OpenAPI document.

The answers themselves are built by the `_body` functions; a test holds the two together.
"""

from typing import Any

from rest_framework import serializers

from billing.api.fields import CentsMoneyField, InstantField, MoneyField

Out = serializers.Serializer[Any]


class RolloverOut(Out):
    fraction = serializers.CharField()
    cap = serializers.CharField(allow_null=True)
    max_times = serializers.IntegerField(allow_null=True)


class EndOfTermOut(Out):
    kind = serializers.CharField()
    quarters = serializers.IntegerField(allow_null=True)


class AutoApproveOut(Out):
    max_overage = serializers.CharField()


class CommitOut(Out):
    """A commit; `instalment` has one amount for each quarter."""

    id = serializers.UUIDField()
    customer = serializers.CharField()
    state = serializers.ChoiceField(choices=["draft", "active", "ended"])
    starts_on = serializers.DateField()
    quarters = serializers.IntegerField(allow_null=True)
    instalment = serializers.ListField(child=serializers.CharField())
    discount = serializers.CharField()
    timezone = serializers.CharField()
    period_months = serializers.IntegerField()
    overrides = serializers.ListField(child=serializers.DictField())
    price_protection = serializers.BooleanField()
    grace_hours = serializers.IntegerField()
    rollover = RolloverOut()
    end_of_term = EndOfTermOut()
    auto_approve = AutoApproveOut(allow_null=True)
    created_at = InstantField()
    activated_at = InstantField(allow_null=True)


class QuarterOut(Out):
    """One quarter; `granted` counts everything drawable in it, `rolled_in` included."""

    index = serializers.IntegerField()
    starts_at = InstantField()
    ends_at = InstantField()
    state = serializers.ChoiceField(choices=["open", "planned", "approved", "posted", "invoiced"])
    tail = serializers.BooleanField()
    granted = MoneyField()
    rolled_in = MoneyField()
    used = MoneyField()
    overage = MoneyField()
    rolled_out = MoneyField()
    breakage = MoneyField()
    invoice = serializers.UUIDField(allow_null=True)


class QuartersOut(Out):
    results = QuarterOut(many=True)
    next = serializers.CharField(allow_null=True)


class PlanOut(Out):
    """What the close of a quarter would do as of now."""

    commit = serializers.UUIDField()
    quarter = serializers.IntegerField()
    state = serializers.CharField()
    digest = serializers.CharField()
    needs_human = serializers.ListField(child=serializers.CharField())
    granted = MoneyField()
    rolled_in = MoneyField()
    used = MoneyField()
    drawn = MoneyField()
    overage = MoneyField()
    rolled_out = MoneyField()
    breakage = MoneyField()
    overage_cents = serializers.IntegerField()
    total_cents = serializers.IntegerField()
    carried_cents = serializers.IntegerField()
    refund_cents = serializers.IntegerField()
    ends = serializers.BooleanField()
    residue = MoneyField()
    grants = serializers.ListField(child=serializers.DictField())
    lines = serializers.ListField(child=serializers.DictField())


class CloseRowOut(Out):
    """What a run of the closes did for one quarter."""

    commit = serializers.UUIDField()
    customer = serializers.CharField()
    quarter = serializers.IntegerField()
    state = serializers.CharField()
    digest = serializers.CharField(allow_null=True)
    overage = MoneyField(allow_null=True)
    rolled_out = MoneyField(allow_null=True)
    total_cents = serializers.IntegerField(allow_null=True)
    invoice = serializers.UUIDField(allow_null=True)
    needs_human = serializers.ListField(child=serializers.CharField())


class CloseRowsOut(Out):
    results = CloseRowOut(many=True)
    next = serializers.CharField(allow_null=True)


class GrantOut(Out):
    id = serializers.CharField(allow_null=True)
    kind = serializers.ChoiceField(choices=["instalment", "rollover", "true_up", "credit"])
    amount = MoneyField()
    remaining = MoneyField()
    expires_at = InstantField()


class RunningQuarterOut(Out):
    index = serializers.IntegerField()
    starts_at = InstantField()
    ends_at = InstantField()
    state = serializers.CharField()


class BalanceOut(Out):
    """What is left in the running quarter, every event accepted so far included."""

    customer = serializers.CharField()
    as_of = InstantField()
    commit = serializers.UUIDField()
    quarter = RunningQuarterOut()
    granted = MoneyField()
    used = MoneyField()
    available = MoneyField()
    overage = MoneyField()
    pending_rollover = MoneyField()
    unrated_events = serializers.IntegerField()
    grants = GrantOut(many=True)
    runs_out_at = InstantField(allow_null=True)


class RequestOut(Out):
    id = serializers.UUIDField()
    commit = serializers.UUIDField()
    state = serializers.ChoiceField(choices=["requested", "approved", "rejected"])
    requested_by = serializers.CharField()
    decided_by = serializers.CharField(allow_null=True)
    rejected_because = serializers.CharField(allow_null=True)


class TrueUpOut(RequestOut):
    """An increase; with `?preview=true` a TrueUpPreviewOut instead."""

    amount = CentsMoneyField()
    from_quarter = serializers.IntegerField()
    through_quarter = serializers.IntegerField()
    discount = serializers.CharField(allow_null=True)
    effective_at = InstantField(allow_null=True)
    bill_now = serializers.BooleanField()


class OutlookOut(Out):
    quarter = serializers.IntegerField()
    invoice_cents = serializers.IntegerField()
    overage = MoneyField()
    available = MoneyField()
    runs_out_at = InstantField(allow_null=True)
    instalments = serializers.ListField(child=serializers.DictField())


class TrueUpPreviewOut(Out):
    """The outlook without and with the true-up."""

    before = OutlookOut()
    after = OutlookOut()
    saves_nothing = serializers.BooleanField()
    detail = serializers.CharField()


class CreditOut(RequestOut):
    amount = CentsMoneyField()
    reason = serializers.CharField()
    quarter = serializers.IntegerField(allow_null=True)
    expires_at = InstantField(allow_null=True)
    rolls_over = serializers.BooleanField()


class OverrideOut(RequestOut):
    model = serializers.CharField()
    mode = serializers.CharField()
    meter = serializers.CharField()
    price = MoneyField()
    effective_at = InstantField()


class TrueUpsOut(Out):
    results = TrueUpOut(many=True)
    next = serializers.CharField(allow_null=True)


class CreditsOut(Out):
    results = CreditOut(many=True)
    next = serializers.CharField(allow_null=True)


class OverridesOut(Out):
    results = OverrideOut(many=True)
    next = serializers.CharField(allow_null=True)


class ClockOut(Out):
    now = InstantField()
