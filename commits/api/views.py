"""The commit routes: parse, call one service, answer."""

from typing import Any
from uuid import UUID

from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.authentication import actor_of, key_of
from billing.api.base import LedgerView
from billing.api.idempotency import idempotent
from billing.api.pagination import ordered_by
from billing.api.permissions import IsFinance, IsFinanceOrCustomer, may_read, readable_customer
from billing.domain.errors import InvalidInput, NotFound
from billing.models import ApiKeyKind, Customer
from billing.services import clock
from billing.tasks import push_due_invoices
from commits.api import schemas as out
from commits.api import serializers as body
from commits.models import Commit
from commits.services import balances, closes, signing
from commits.services.close_inputs import plan_as_json


def push_soon() -> None:
    """Tell the worker that there may be an invoice to send; the beat would find it anyway."""
    # Robust: with the broker down the work is done and stands, and the sweeper finds it.
    transaction.on_commit(push_due_invoices.delay, robust=True)


def actor(request: Request) -> str:
    """Who acts, as the audit trail and maker-checker name them."""
    key = key_of(request)
    if key.kind == ApiKeyKind.CUSTOMER and key.customer is not None:
        return f"customer:{key.customer.key}"
    return actor_of(request).name


class CommitsApi(LedgerView):
    """Base of the routes: finance only unless a route says otherwise."""

    permission_classes: Any = (IsFinance,)


def readable_commit(request: Request, commit_id: UUID) -> Commit:
    """A commit that this key may read; anything else does not exist for it."""
    found = Commit.objects.select_related("customer").filter(pk=commit_id).first()
    if found is None or not may_read(request, found.customer_id):
        raise NotFound("unknown_commit", f"no commit {commit_id}")
    return found


class CommitsView(CommitsApi):
    pagination_class = ordered_by("-created_at", "id")

    @extend_schema(
        operation_id="commits_create", request=body.CommitSerializer, responses={201: out.CommitOut}
    )
    @idempotent
    def post(self, request: Request) -> Response:
        given = body.parse(body.CommitSerializer, request.data)
        customer = Customer.objects.filter(key=given["customer"]).first()
        terms = body.commit_terms(given, customer.timezone if customer else "UTC")
        commit = signing.create_commit(terms=terms, actor=actor(request), now=clock.now())
        return Response(body.commit_body(commit), status=201)

    @extend_schema(operation_id="commits_list", responses=out.CommitOut(many=True))
    def get(self, request: Request) -> Response:
        found = Commit.objects.select_related("customer")
        if key := request.query_params.get("customer"):
            found = found.filter(customer__key=key)
        return self.page(request, found, body.commit_body)


class CommitView(CommitsApi):
    permission_classes = (IsFinanceOrCustomer,)

    @extend_schema(operation_id="commits_retrieve", responses=out.CommitOut)
    def get(self, request: Request, commit_id: UUID) -> Response:
        return Response(body.commit_body(readable_commit(request, commit_id)))


class ActivateView(CommitsApi):
    @extend_schema(operation_id="commits_activate", request=None, responses=out.CommitOut)
    def post(self, request: Request, commit_id: UUID) -> Response:
        commit = signing.activate_commit(commit_id=commit_id, actor=actor(request), now=clock.now())
        push_soon()
        return Response(body.commit_body(commit))


class QuartersView(CommitsApi):
    permission_classes = (IsFinanceOrCustomer,)

    @extend_schema(operation_id="commit_quarters", responses=out.QuartersOut)
    def get(self, request: Request, commit_id: UUID) -> Response:
        views = balances.read_quarters(commit=readable_commit(request, commit_id))
        return Response({"results": [body.quarter_body(view) for view in views], "next": None})


class PlanView(CommitsApi):
    @extend_schema(operation_id="close_plan", responses=out.PlanOut)
    def get(self, request: Request, commit_id: UUID, index: int) -> Response:
        quarter, plan, digest, reasons = closes.preview_close(commit_id=commit_id, index=index)
        return Response(
            {
                "commit": str(commit_id),
                "quarter": quarter.index,
                "state": balances.shown_state(quarter),
                "digest": digest,
                "needs_human": reasons,
                **plan_as_json(plan),
            }
        )


class ApproveCloseView(CommitsApi):
    @extend_schema(
        operation_id="close_approve", request=body.ApprovalSerializer, responses=out.CloseRowOut
    )
    def post(self, request: Request, commit_id: UUID, index: int) -> Response:
        given = body.parse(body.ApprovalSerializer, request.data or {})
        now = clock.now()
        close = closes.approve_close(
            commit_id=commit_id,
            index=index,
            actor=actor(request),
            now=now,
            expected_digest=given.get("digest"),
        )
        closes.post_approved(origin_id=close.quarter.origin_id, now=now)
        push_soon()
        row = closes.row_of(commit_id=commit_id, index=index)
        return Response(body.close_row_body(row))


class ClosesView(CommitsApi):
    @extend_schema(
        operation_id="closes_run", request=body.ClosesSerializer, responses=out.CloseRowsOut
    )
    def post(self, request: Request) -> Response:
        given = body.parse(body.ClosesSerializer, request.data)
        rows = closes.run_closes(
            as_of=given["as_of"],
            now=clock.now(),
            actor=actor(request),
            commit_id=given.get("commit"),
        )
        push_soon()
        return Response(
            {
                "results": [body.close_row_body(row) for row in rows],
                "next": None,
            }
        )


class BalanceView(CommitsApi):
    permission_classes = (IsFinanceOrCustomer,)

    @extend_schema(
        operation_id="customer_balance",
        parameters=[OpenApiParameter("commit", OpenApiTypes.UUID)],
        responses=out.BalanceOut,
    )
    def get(self, request: Request, key: str) -> Response:
        customer = readable_customer(request, key)
        asked = request.query_params.get("commit")
        if asked and not body.is_uuid(asked):
            raise InvalidInput("invalid_commit", "commit is the id of a commit")
        balance = balances.read_balance(
            customer=customer, now=clock.now(), commit_id=UUID(asked) if asked else None
        )
        return Response(body.balance_body(balance))
