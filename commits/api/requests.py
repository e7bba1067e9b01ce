"""What one asks for and another approves: true-ups, credits and overrides."""

from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.idempotency import idempotent
from billing.api.permissions import IsFinanceOrCustomer
from billing.api.serializers import RejectionIn
from billing.domain.money import plain
from billing.services import clock
from commits.api import schemas as out
from commits.api import serializers as body
from commits.api.views import CommitsApi, actor, push_soon, readable_commit
from commits.domain.periods import next_hour
from commits.models import Credit, OverrideRequest, TrueUp
from commits.services import credits, overrides, previews, true_ups
from metering.services.rate_cards import Override


class TrueUpsView(CommitsApi):
    permission_classes = (IsFinanceOrCustomer,)

    @extend_schema(
        operation_id="true_ups_create",
        request=body.TrueUpSerializer,
        parameters=[OpenApiParameter("preview", OpenApiTypes.BOOL)],
        responses={200: out.TrueUpPreviewOut, 201: out.TrueUpOut},
    )
    @idempotent
    def post(self, request: Request, commit_id: UUID) -> Response:
        readable_commit(request, commit_id)
        wanted = body.true_up_request(body.parse(body.TrueUpSerializer, request.data))
        now = clock.now()
        if request.query_params.get("preview") == "true":
            preview = previews.preview_true_up(commit_id=commit_id, request=wanted, now=now)
            return Response(preview_body(preview))
        true_up = true_ups.request_true_up(
            commit_id=commit_id, request=wanted, actor=actor(request), now=now
        )
        return Response(body.true_up_body(true_up), status=201)

    @extend_schema(operation_id="true_ups_list", responses=out.TrueUpsOut)
    def get(self, request: Request, commit_id: UUID) -> Response:
        commit = readable_commit(request, commit_id)
        found = TrueUp.objects.filter(commit=commit)
        return Response({"results": [body.true_up_body(t) for t in found], "next": None})


def preview_body(preview: previews.TrueUpPreview) -> dict[str, Any]:
    """The effect of a true-up, before and after."""

    def side(outlook: previews.Outlook) -> dict[str, Any]:
        return {
            "quarter": outlook.quarter_index,
            "invoice_cents": outlook.invoice_cents,
            "overage": plain(outlook.overage),
            "available": plain(outlook.available),
            "runs_out_at": body.instant(outlook.runs_out_at),
            "instalments": [
                {"quarter": index, "amount": f"{amount:.2f}"}
                for index, amount in outlook.instalments
            ],
        }

    return {
        "before": side(preview.before),
        "after": side(preview.after),
        "saves_nothing": preview.saves_nothing,
        "detail": preview.words,
    }


class ApproveTrueUpView(CommitsApi):
    @extend_schema(operation_id="true_up_approve", request=None, responses=out.TrueUpOut)
    def post(self, request: Request, true_up_id: UUID) -> Response:
        true_up = true_ups.approve_true_up(
            true_up_id=true_up_id, actor=actor(request), now=clock.now()
        )
        push_soon()
        return Response(body.true_up_body(true_up))


class RejectTrueUpView(CommitsApi):
    @extend_schema(operation_id="true_up_reject", request=RejectionIn, responses=out.TrueUpOut)
    def post(self, request: Request, true_up_id: UUID) -> Response:
        why = RejectionIn.parse(request.data or {})["reason"]
        true_up = true_ups.reject_true_up(
            true_up_id=true_up_id,
            actor=actor(request),
            now=clock.now(),
            why=why,
        )
        return Response(body.true_up_body(true_up))


class CreditsView(CommitsApi):
    @extend_schema(
        operation_id="credits_create", request=body.CreditSerializer, responses={201: out.CreditOut}
    )
    @idempotent
    def post(self, request: Request, commit_id: UUID) -> Response:
        given = body.parse(body.CreditSerializer, request.data)
        credit = credits.request_credit(
            commit_id=commit_id,
            request=credits.CreditRequest(**given),
            actor=actor(request),
            now=clock.now(),
        )
        return Response(body.credit_body(credit), status=201)

    @extend_schema(operation_id="credits_list", responses=out.CreditsOut)
    def get(self, request: Request, commit_id: UUID) -> Response:
        found = Credit.objects.filter(commit=readable_commit(request, commit_id))
        return Response({"results": [body.credit_body(c) for c in found], "next": None})


class ApproveCreditView(CommitsApi):
    @extend_schema(operation_id="credit_approve", request=None, responses=out.CreditOut)
    def post(self, request: Request, credit_id: UUID) -> Response:
        credit = credits.approve_credit(credit_id=credit_id, actor=actor(request), now=clock.now())
        return Response(body.credit_body(credit))


class RejectCreditView(CommitsApi):
    @extend_schema(operation_id="credit_reject", request=RejectionIn, responses=out.CreditOut)
    def post(self, request: Request, credit_id: UUID) -> Response:
        why = RejectionIn.parse(request.data or {})["reason"]
        credit = credits.reject_credit(
            credit_id=credit_id, actor=actor(request), now=clock.now(), why=why
        )
        return Response(body.credit_body(credit))


class OverridesView(CommitsApi):
    @extend_schema(
        operation_id="overrides_create",
        request=body.OverrideSerializer,
        responses={201: out.OverrideOut},
    )
    @idempotent
    def post(self, request: Request, commit_id: UUID) -> Response:
        given = body.parse(body.OverrideSerializer, request.data)
        now = clock.now()
        asked = overrides.request_override(
            commit_id=commit_id,
            override=Override(
                model=given.get("model") or given["sku"],
                mode=given["mode"],
                meter=given["meter"],
                price=given["price"],
                effective_at=given.get("effective_at") or next_hour(now),
            ),
            actor=actor(request),
            now=now,
        )
        return Response(body.override_body(asked), status=201)

    @extend_schema(operation_id="overrides_list", responses=out.OverridesOut)
    def get(self, request: Request, commit_id: UUID) -> Response:
        found = OverrideRequest.objects.filter(commit=readable_commit(request, commit_id))
        return Response({"results": [body.override_body(o) for o in found], "next": None})


class ApproveOverrideView(CommitsApi):
    @extend_schema(operation_id="override_approve", request=None, responses=out.OverrideOut)
    def post(self, request: Request, override_id: UUID) -> Response:
        approved = overrides.approve_override(
            request_id=override_id, actor=actor(request), now=clock.now()
        )
        return Response(body.override_body(approved))


class RejectOverrideView(CommitsApi):
    @extend_schema(operation_id="override_reject", request=RejectionIn, responses=out.OverrideOut)
    def post(self, request: Request, override_id: UUID) -> Response:
        why = RejectionIn.parse(request.data or {})["reason"]
        rejected = overrides.reject_override(
            request_id=override_id, actor=actor(request), now=clock.now(), why=why
        )
        return Response(body.override_body(rejected))
