"""The addresses of credit notes: parse, call one service, answer.

Approving lies with the commits' addresses: money that is refunded can be drawn no more.
"""

from typing import Any
from uuid import UUID

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.authentication import actor_of
from billing.api.base import LedgerView
from billing.api.credit_note_bodies import CreditNoteIn, CreditNoteOut, credit_note_body
from billing.api.idempotency import idempotent
from billing.api.pagination import ordered_by
from billing.api.permissions import IsFinance, IsFinanceOrCustomer, may_read
from billing.api.serializers import RejectionIn
from billing.domain.errors import NotFound
from billing.domain.money import to_cents
from billing.models import CreditNote, CreditNoteKind
from billing.services import clock, credit_note_push, credit_note_requests, credit_notes, invoices
from billing.tasks import push_credit_note


def push_soon(note: CreditNote) -> None:
    """Send it after the commit: a worker that is quicker than we are would not find it."""
    note_id = str(note.pk)
    transaction.on_commit(lambda: push_credit_note.delay(note_id), robust=True)


class CreditNotesView(LedgerView):
    """The credit notes of one invoice: asked for by one user, approved by another."""

    permission_classes = (IsFinanceOrCustomer,)
    pagination_class = ordered_by("-requested_at", "-id")

    @extend_schema(operation_id="credit_notes_list", responses=CreditNoteOut(many=True))
    def get(self, request: Request, invoice_id: UUID) -> Response:
        invoice = invoices.get_invoice(invoice_id=invoice_id)
        if not may_read(request, invoice.customer_id):
            raise NotFound("invoice_not_found", f"There is no invoice {invoice_id}.")
        return self.page(request, credit_notes.notes_of(invoice=invoice), credit_note_body)

    def get_permissions(self) -> list[Any]:
        return [IsFinance()] if self.request.method == "POST" else [IsFinanceOrCustomer()]

    @extend_schema(
        operation_id="credit_notes_create", request=CreditNoteIn, responses={201: CreditNoteOut}
    )
    @idempotent
    def post(self, request: Request, invoice_id: UUID) -> Response:
        given = CreditNoteIn.parse(request.data)
        actor = actor_of(request)
        kind = given["kind"]
        note = credit_note_requests.request_note(
            invoice_id=invoice_id,
            request=credit_note_requests.NoteRequest(
                cents=to_cents(given["amount"]),
                reason=given["reason"],
                kind=None if kind is None else CreditNoteKind(kind),
                quarter=given["quarter"],
                as_credit=given["as_credit"],
            ),
            actor=actor.user,
            actor_name=actor.name,
            now=clock.now(),
        )
        return Response(credit_note_body(note), status=201)


class CreditNoteRejectView(LedgerView):
    """Decline a request."""

    permission_classes = (IsFinance,)

    @extend_schema(operation_id="credit_note_reject", request=RejectionIn, responses=CreditNoteOut)
    def post(self, request: Request, note_id: UUID) -> Response:
        actor = actor_of(request)
        note = credit_note_requests.reject_note(
            note_id=note_id,
            actor=actor.user,
            actor_name=actor.name,
            now=clock.now(),
            why=RejectionIn.parse(request.data or {})["reason"],
        )
        return Response(credit_note_body(note))


class CreditNoteRefundedView(LedgerView):
    """Finance has paid by bank what Stripe could not refund."""

    permission_classes = (IsFinance,)

    @extend_schema(operation_id="credit_note_refunded", request=None, responses=CreditNoteOut)
    def post(self, request: Request, note_id: UUID) -> Response:
        note = credit_note_push.record_refund_paid(
            note_id=note_id, actor_name=actor_of(request).name, now=clock.now()
        )
        return Response(credit_note_body(note))


class CreditNotePushView(LedgerView):
    """Let a blocked credit note try its way to Stripe again."""

    permission_classes = (IsFinance,)

    @extend_schema(operation_id="credit_note_push", request=None, responses={202: CreditNoteOut})
    def post(self, request: Request, note_id: UUID) -> Response:
        note = credit_note_push.unblock_note(
            note_id=note_id, actor_name=actor_of(request).name, now=clock.now()
        )
        push_soon(note)
        return Response(credit_note_body(note), status=202)
