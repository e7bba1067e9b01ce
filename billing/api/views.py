"""Billing's own addresses: parse, call one service, answer."""

from typing import Any
from uuid import UUID

from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api import serializers as body
from billing.api.authentication import actor_of
from billing.api.base import LedgerView
from billing.api.idempotency import HEADER, idempotent
from billing.api.pagination import ordered_by
from billing.api.permissions import (
    IsFinance,
    IsFinanceOrCustomer,
    may_read,
    readable_customer,
)
from billing.api.problems import problem
from billing.domain.errors import InvalidInput, NotFound
from billing.models import Invoice
from billing.services import (
    clock,
    customers,
    invoice_voiding,
    invoices,
    ledger,
    webhook_inbox,
)
from billing.tasks import apply_stripe_event, push_invoice

IDEMPOTENCY_HEADER = OpenApiParameter(
    HEADER, OpenApiTypes.STR, OpenApiParameter.HEADER, description="the same key, the same answer"
)


class CustomersView(LedgerView):
    """Customers."""

    permission_classes = (IsFinance,)
    pagination_class = ordered_by("key")

    @extend_schema(operation_id="customers_list", responses=body.CustomerOut(many=True))
    def get(self, request: Request) -> Response:
        return self.page(request, customers.list_customers(), body.customer_body)

    @extend_schema(
        operation_id="customers_create",
        request=body.CustomerIn,
        responses={201: body.CustomerOut},
        parameters=[IDEMPOTENCY_HEADER],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        given = body.CustomerIn.parse(request.data)
        actor = actor_of(request)
        customer = customers.create_customer(
            key=given["key"],
            name=given["name"],
            email=given["email"],
            timezone=given["timezone"],
            now=clock.now(),
            actor=actor.user,
            actor_name=actor.name,
        )
        return Response(body.customer_body(customer), status=201)


class CustomerView(LedgerView):
    """One customer."""

    permission_classes = (IsFinanceOrCustomer,)

    @extend_schema(operation_id="customers_retrieve", responses=body.CustomerOut)
    def get(self, request: Request, key: str) -> Response:
        return Response(body.customer_body(readable_customer(request, key)))


class CustomerInvoicesView(LedgerView):
    """A customer's invoices, newest first."""

    permission_classes = (IsFinanceOrCustomer,)
    pagination_class = ordered_by("-created_at", "-id")

    @extend_schema(operation_id="customer_invoices_list", responses=body.InvoiceOut(many=True))
    def get(self, request: Request, key: str) -> Response:
        found = invoices.invoices_of(customer=readable_customer(request, key))
        return self.page(request, found.select_related("customer"), body.invoice_body)


class CustomerEntriesView(LedgerView):
    """A customer's journal entries with their postings, newest first."""

    permission_classes = (IsFinanceOrCustomer,)

    @extend_schema(
        operation_id="customer_entries_list",
        responses=body.EntryOut(many=True),
        parameters=[OpenApiParameter("commit", OpenApiTypes.UUID, description="of one commit")],
    )
    def get(self, request: Request, key: str) -> Response:
        customer = readable_customer(request, key)
        commit = request.query_params.get("commit")
        found = ledger.entries_of(customer_id=customer.pk, commit_id=_uuid(commit, "commit"))
        return self.page(request, found, body.entry_body)


def _uuid(text: str | None, name: str) -> UUID | None:
    try:
        return None if not text else UUID(text)
    except ValueError as error:
        raise InvalidInput("invalid_input", f"{name}: not a UUID.") from error


def readable_invoice(request: Request, invoice_id: UUID) -> Invoice:
    """The invoice, if this request may read it; else it does not exist for it."""
    invoice = invoices.get_invoice(invoice_id=invoice_id)
    if not may_read(request, invoice.customer_id):
        raise NotFound("invoice_not_found", f"There is no invoice {invoice_id}.")
    return invoice


class InvoiceView(LedgerView):
    """One invoice."""

    permission_classes = (IsFinanceOrCustomer,)

    @extend_schema(operation_id="invoices_retrieve", responses=body.InvoiceOut)
    def get(self, request: Request, invoice_id: UUID) -> Response:
        return Response(body.invoice_body(readable_invoice(request, invoice_id)))


class InvoiceVoidView(LedgerView):
    """Void an unpaid invoice; the same again answers the same."""

    permission_classes = (IsFinance,)

    @extend_schema(
        operation_id="invoices_void", request=body.ReasonIn, responses={200: body.InvoiceOut}
    )
    def post(self, request: Request, invoice_id: UUID) -> Response:
        given = body.ReasonIn.parse(request.data or {})
        actor = actor_of(request)
        invoice = invoice_voiding.void_invoice(
            invoice_id=invoice_id,
            reason=given["reason"],
            actor=actor.user,
            actor_name=actor.name,
            now=clock.now(),
        )
        return Response(body.invoice_body(invoice))


class InvoiceReissueView(LedgerView):
    """The next revision of a voided invoice, with the same lines."""

    permission_classes = (IsFinance,)

    @extend_schema(
        operation_id="invoices_reissue",
        request=None,
        responses={201: body.InvoiceOut},
        parameters=[IDEMPOTENCY_HEADER],
    )
    @idempotent
    def post(self, request: Request, invoice_id: UUID) -> Response:
        actor = actor_of(request)
        invoices.get_invoice(invoice_id=invoice_id)
        invoice = invoice_voiding.reissue_invoice(
            invoice_id=invoice_id, actor=actor.user, actor_name=actor.name, now=clock.now()
        )
        _push_soon(invoice)
        return Response(body.invoice_body(invoice), status=201)


class InvoicePushView(LedgerView):
    """Let a blocked invoice try its way to Stripe again."""

    permission_classes = (IsFinance,)

    @extend_schema(operation_id="invoices_push", request=None, responses={202: body.InvoiceOut})
    def post(self, request: Request, invoice_id: UUID) -> Response:
        actor = actor_of(request)
        invoice = invoice_voiding.unblock_invoice(
            invoice_id=invoice_id, actor=actor.user, actor_name=actor.name, now=clock.now()
        )
        _push_soon(invoice)
        return Response(body.invoice_body(invoice), status=202)


def _push_soon(invoice: Invoice) -> None:
    # After the commit: a worker that is quicker than we are would not find the invoice.
    invoice_id = str(invoice.pk)
    transaction.on_commit(lambda: push_invoice.delay(invoice_id), robust=True)


class StripeWebhookView(LedgerView):
    """Stripe's events: verified by signature, stored, answered, applied later."""

    authentication_classes: Any = ()
    permission_classes = (AllowAny,)

    @extend_schema(operation_id="webhooks_stripe", exclude=True)
    def post(self, request: Request) -> Response:
        try:
            event = webhook_inbox.receive(
                body=request._request.body,
                signature=request.headers.get("Stripe-Signature", ""),
                now=clock.now(),
            )
        except InvalidInput as error:
            return problem(400, error.code, error.detail)
        if event is not None:
            event_id = event.pk
            transaction.on_commit(lambda: apply_stripe_event.delay(event_id), robust=True)
        return Response({"received": True})
