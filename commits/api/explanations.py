"""Explanations over the API: from an invoice line, a posting or a grant back to the events.

Finance reads any; a customer's key its own, and anything else does not exist for it.
"""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.fields import InstantField, MoneyField
from billing.api.permissions import IsFinanceOrCustomer, may_read
from billing.domain.errors import NotFound
from commits.api.explanation_bodies import grant_body, line_body, posting_body
from commits.api.schemas import Out
from commits.api.views import CommitsApi
from commits.services import explain
from metering.api.serializers import RateOut


class RatedOut(Out):
    """A quantity counted again from the events, and how its rate came about."""

    quantity = serializers.IntegerField()
    amount = MoneyField()
    rate = RateOut()


class CountedEventOut(Out):
    """An event behind the dollars; -1 where `voided_by` took it back."""

    source = serializers.CharField()  # type: ignore[assignment]
    id = serializers.CharField()
    seq = serializers.IntegerField()
    time = InstantField()
    sign = serializers.IntegerField()
    voided_by = serializers.CharField(allow_null=True)


class ExplainedUsageOut(Out):
    """Usage between two points of the customer's ingest sequence. `events` are the first 100."""

    after_seq = serializers.IntegerField()
    through_seq = serializers.IntegerField()
    booked = MoneyField(required=False)
    drawn = MoneyField(required=False)
    overage = MoneyField(required=False)
    share = serializers.DictField(allow_null=True, required=False)
    entries = serializers.ListField(child=serializers.DictField(), required=False)
    recomputed = MoneyField()
    agrees = serializers.BooleanField(allow_null=True)
    rated = RatedOut(many=True)
    event_count = serializers.IntegerField()
    events = CountedEventOut(many=True)


class ExplainedGrantOut(Out):
    """A grant and the way of its money through the quarters."""

    id = serializers.CharField()
    ref = serializers.CharField()
    kind = serializers.CharField()
    why = serializers.CharField()
    created_at = InstantField()
    expires_at = InstantField(allow_null=True)
    times_rolled = serializers.IntegerField()
    requested_by = serializers.CharField(allow_null=True)
    approved_by = serializers.CharField(allow_null=True)
    invoice = serializers.UUIDField(allow_null=True)
    invoice_lines = serializers.ListField(child=serializers.CharField())
    entries = serializers.ListField(child=serializers.CharField())
    way = serializers.ListField(child=serializers.DictField())


class ExplainedPostingOut(Out):
    """A posting, its entry, and for usage the events behind it."""

    id = serializers.CharField()
    account = serializers.CharField()
    account_quarter = serializers.IntegerField(allow_null=True)
    amount = MoneyField()
    why = serializers.CharField()
    entry = serializers.DictField()
    grant = serializers.CharField(allow_null=True)
    usage = ExplainedUsageOut(allow_null=True)


class ExplainedLineOut(Out):
    """An invoice line: the grant that it bills, or the usage that it shares in."""

    id = serializers.CharField()
    invoice = serializers.UUIDField()
    kind = serializers.CharField()
    quarter = serializers.IntegerField()
    description = serializers.CharField()
    amount_cents = serializers.IntegerField()
    grant = ExplainedGrantOut(allow_null=True)
    usage = ExplainedUsageOut(allow_null=True)


class ExplainLineView(CommitsApi):
    permission_classes = (IsFinanceOrCustomer,)

    @extend_schema(operation_id="explain_invoice_line", responses=ExplainedLineOut)
    def get(self, request: Request, pk: int) -> Response:
        found = explain.explain_invoice_line(id=pk)
        _require(request, found.customer_id)
        return Response(line_body(found))


class ExplainPostingView(CommitsApi):
    permission_classes = (IsFinanceOrCustomer,)

    @extend_schema(operation_id="explain_posting", responses=ExplainedPostingOut)
    def get(self, request: Request, pk: int) -> Response:
        found = explain.explain_posting(id=pk)
        _require(request, found.customer_id)
        return Response(posting_body(found))


class ExplainGrantView(CommitsApi):
    permission_classes = (IsFinanceOrCustomer,)

    @extend_schema(operation_id="explain_grant", responses=ExplainedGrantOut)
    def get(self, request: Request, pk: int) -> Response:
        found = explain.explain_grant(id=pk)
        _require(request, found.customer_id)
        return Response(grant_body(found))


def _require(request: Request, customer_id: int) -> None:
    if not may_read(request, customer_id):
        raise NotFound("not_found", "there is nothing of that id")
