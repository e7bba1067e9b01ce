"""Backfills over REST: declared, staged, previewed, approved by another, or discarded."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.authentication import actor_of
from billing.api.fields import InstantField, StrictSerializer, TextField
from billing.api.idempotency import idempotent
from billing.api.serializers import RejectionIn
from billing.services import clock, two_people
from commits.api.corrections import CorrectionPreviewOut, preview_body
from commits.api.schemas import Out
from commits.api.serializers import instant
from commits.api.views import CommitsApi
from commits.models import Backfill, BackfillKind
from commits.services import backfills
from metering.api.serializers import EventIn


class BackfillIn(StrictSerializer):
    """A source, a stretch of time, and whether to add to what it reported or to replace it."""

    source = TextField(max_length=200)  # type: ignore[assignment]
    kind = serializers.ChoiceField(choices=BackfillKind.values)
    customers = serializers.ListField(child=TextField(max_length=64), allow_empty=False)
    reason = TextField(max_length=300)

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "from": InstantField(), "to": InstantField()}


class BackfillOut(Out):
    """A backfill, and how many events are staged by customer."""

    id = serializers.UUIDField()
    source = serializers.CharField()  # type: ignore[assignment]
    kind = serializers.ChoiceField(choices=BackfillKind.values)
    reason = serializers.CharField()
    state = serializers.ChoiceField(choices=["requested", "approved", "rejected"])
    requested_by = serializers.CharField()
    decided_by = serializers.CharField(allow_null=True)
    applied_at = InstantField(allow_null=True)
    staged = serializers.DictField(child=serializers.IntegerField())

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "from": InstantField(), "to": InstantField()}


class StagedOut(Out):
    staged = serializers.IntegerField()


class CustomerPreviewOut(CorrectionPreviewOut):
    customer = serializers.CharField()


class BackfillPreviewOut(Out):
    """What it would change, customer by customer and quarter by quarter."""

    results = CustomerPreviewOut(many=True)


class BackfillsView(CommitsApi):
    @extend_schema(
        operation_id="backfills_create", request=BackfillIn, responses={201: BackfillOut}
    )
    @idempotent
    def post(self, request: Request) -> Response:
        given = BackfillIn.parse(request.data)
        actor = actor_of(request)
        backfill = backfills.declare_backfill(
            source=given["source"],
            starts_at=given["from"],
            ends_at=given["to"],
            kind=BackfillKind(given["kind"]),
            customer_keys=given["customers"],
            reason=given["reason"],
            actor=actor.user,
            actor_name=actor.name,
            now=clock.now(),
        )
        return Response(backfill_body(backfill), status=201)


class BackfillView(CommitsApi):
    @extend_schema(operation_id="backfill", responses=BackfillOut)
    def get(self, request: Request, backfill_id: UUID) -> Response:
        return Response(backfill_body(two_people.find(Backfill, backfill_id)))


class StagedEventsView(CommitsApi):
    @extend_schema(operation_id="backfill_stage", request=EventIn(many=True), responses=StagedOut)
    def post(self, request: Request, backfill_id: UUID) -> Response:
        staged = backfills.stage_events(backfill_id=backfill_id, body=request._request.body)
        return Response({"staged": staged})


class BackfillPreviewView(CommitsApi):
    @extend_schema(operation_id="backfill_preview", responses=BackfillPreviewOut)
    def get(self, request: Request, backfill_id: UUID) -> Response:
        found = backfills.preview_backfill(backfill_id=backfill_id, now=clock.now())
        return Response(
            {"results": [{"customer": key, **preview_body(preview)} for key, preview in found]}
        )


class ApproveBackfillView(CommitsApi):
    @extend_schema(operation_id="backfill_approve", request=None, responses=BackfillOut)
    def post(self, request: Request, backfill_id: UUID) -> Response:
        actor = actor_of(request)
        backfill = backfills.approve_backfill(
            backfill_id=backfill_id, actor=actor.user, actor_name=actor.name, now=clock.now()
        )
        return Response(backfill_body(backfill))


class RejectBackfillView(CommitsApi):
    @extend_schema(operation_id="backfill_reject", request=RejectionIn, responses=BackfillOut)
    def post(self, request: Request, backfill_id: UUID) -> Response:
        actor = actor_of(request)
        backfill = backfills.reject_backfill(
            backfill_id=backfill_id,
            actor=actor.user,
            actor_name=actor.name,
            why=RejectionIn.parse(request.data or {})["reason"],
            now=clock.now(),
        )
        return Response(backfill_body(backfill))


def backfill_body(backfill: Backfill) -> dict[str, Any]:
    """A backfill as the API shows it."""
    return {
        "id": str(backfill.pk),
        "source": backfill.source,
        "kind": backfill.kind,
        "from": instant(backfill.starts_at),
        "to": instant(backfill.ends_at),
        "reason": backfill.reason,
        "state": backfill.state,
        "requested_by": backfill.requested_by,
        "decided_by": backfill.decided_by or None,
        "applied_at": instant(backfill.applied_at),
        "staged": backfills.staged_counts(backfill_id=backfill.pk),
    }
