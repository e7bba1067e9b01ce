"""Finance corrects usage: voids, with or without replacements, previewed or applied."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.authentication import actor_of
from billing.api.fields import MoneyField, StrictSerializer, TextField
from billing.api.idempotency import idempotent
from billing.domain.money import plain
from billing.services import clock, customers
from commits.api.schemas import Out
from commits.api.views import CommitsApi
from commits.domain.figures import QuarterFigures
from commits.services import corrections
from commits.services.corrections import Correction, CorrectionPreview
from metering.api.serializers import IngestOut, ingest_body

_FIGURES = ("granted", "rolled_in", "used", "overage", "rolled_out", "breakage")


class EventNameIn(StrictSerializer):
    """An event to take back."""

    # DRF's own `source` is an attribute of every field; the key is what the API names.
    source = TextField(max_length=200)  # type: ignore[assignment]
    id = TextField(max_length=200)


class CorrectionIn(StrictSerializer):
    """Events to take back, why, and CloudEvents to count in their place."""

    voids = EventNameIn(many=True)
    reason = TextField(max_length=300)
    replacements = serializers.ListField(child=serializers.DictField(), default=list)


class FiguresOut(Out):
    granted = MoneyField()
    rolled_in = MoneyField()
    used = MoneyField()
    overage = MoneyField()
    rolled_out = MoneyField()
    breakage = MoneyField()


class QuarterEffectOut(Out):
    commit = serializers.UUIDField()
    quarter = serializers.IntegerField()
    state = serializers.CharField()
    changed = serializers.BooleanField()
    before = FiguresOut()
    after = FiguresOut()


class CorrectionPreviewOut(Out):
    """Every quarter without the correction and with it, and the open quarter's next invoice."""

    used_difference = MoneyField()
    invoice_before_cents = serializers.IntegerField(allow_null=True)
    invoice_after_cents = serializers.IntegerField(allow_null=True)
    quarters = QuarterEffectOut(many=True)


class CorrectionsView(CommitsApi):
    @extend_schema(
        operation_id="corrections_create",
        request=CorrectionIn,
        parameters=[OpenApiParameter("preview", OpenApiTypes.BOOL)],
        responses={
            200: CorrectionPreviewOut,
            201: IngestOut,
        },
    )
    @idempotent
    def post(self, request: Request, key: str) -> Response:
        given = CorrectionIn.parse(request.data)
        customer = customers.get_customer(key=key)
        wanted = Correction(
            voids=[(one["source"], one["id"]) for one in given["voids"]],
            reason=given["reason"],
            replacements=given["replacements"],
        )
        now = clock.now()
        if request.query_params.get("preview") == "true":
            preview = corrections.preview_correction(customer=customer, correction=wanted, now=now)
            return Response(preview_body(preview))
        actor = actor_of(request)
        result = corrections.apply_correction(
            customer=customer, correction=wanted, actor=actor.user, actor_name=actor.name, now=now
        )
        return Response(ingest_body(result), status=201)


def preview_body(preview: CorrectionPreview) -> dict[str, Any]:
    """A preview as CorrectionPreviewOut describes it."""
    return {
        "used_difference": plain(preview.used_difference),
        "invoice_before_cents": preview.invoice_before_cents,
        "invoice_after_cents": preview.invoice_after_cents,
        "quarters": [
            {
                "commit": str(one.commit_id),
                "quarter": one.index,
                "state": one.state,
                "changed": one.is_changed,
                "before": _figures(one.before),
                "after": _figures(one.after),
            }
            for one in preview.quarters
        ],
    }


def _figures(figures: QuarterFigures) -> dict[str, str]:
    return {name: plain(getattr(figures, name)) for name in _FIGURES}
