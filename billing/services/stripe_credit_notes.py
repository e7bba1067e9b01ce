"""Credit notes at Stripe, as plain values; errors and the ban on transactions as in the gateway."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from billing.services.stripe_gateway import translated

_PAGE = 100


@dataclass(frozen=True, slots=True)
class RemoteCreditNote:
    """A credit note as Stripe has it. Amounts in cents.

    `before_payment` was taken off what is still to be paid. What had been paid is given back:
    `refunded` by Stripe, `outside` by us, and the rest as the customer's credit.
    """

    id: str
    invoice: str
    status: str
    total: int
    before_payment: int
    after_payment: int
    refunded: int
    outside: int
    number: str
    metadata: Mapping[str, str]


def _note(found: Any) -> RemoteCreditNote:
    plain = found.to_dict()
    return RemoteCreditNote(
        id=plain["id"],
        invoice=plain["invoice"],
        status=plain["status"],
        total=plain["total"],
        before_payment=plain["pre_payment_amount"],
        after_payment=plain["post_payment_amount"],
        refunded=sum(row["amount_refunded"] for row in plain.get("refunds") or []),
        outside=plain.get("out_of_band_amount") or 0,
        number=plain.get("number") or "",
        metadata=plain.get("metadata") or {},
    )


def create_note(*, payload: Mapping[str, Any], key: str) -> RemoteCreditNote:
    """A new credit note: Stripe takes it off the invoice, and pays its refund, at once."""
    with translated() as client:
        return _note(client.v1.credit_notes.create(cast(Any, payload), {"idempotency_key": key}))


def list_notes(*, invoice: str) -> list[RemoteCreditNote]:
    """All credit notes of an invoice (lists are up to date, search is not)."""
    with translated() as client:
        found = client.v1.credit_notes.list({"invoice": invoice, "limit": _PAGE})
        return [_note(note) for note in found.auto_paging_iter()]
