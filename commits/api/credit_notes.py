"""Approving a credit note on an invoice; asking for one is billing's address."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.authentication import actor_of
from billing.api.base import LedgerView
from billing.api.credit_note_bodies import CreditNoteOut, credit_note_body
from billing.api.credit_notes import push_soon
from billing.api.permissions import IsFinance
from billing.services import clock
from commits.services import credit_notes


class CreditNoteApproveView(LedgerView):
    """Approve a credit note that another user has asked for; the same again answers the same."""

    permission_classes = (IsFinance,)

    @extend_schema(operation_id="credit_note_approve", request=None, responses=CreditNoteOut)
    def post(self, request: Request, note_id: UUID) -> Response:
        actor = actor_of(request)
        note = credit_notes.approve_credit_note(
            note_id=note_id, actor=actor.user, actor_name=actor.name, now=clock.now()
        )
        push_soon(note)
        return Response(credit_note_body(note))
