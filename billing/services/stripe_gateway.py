"""Stripe, as far as we need it: the only module that imports its library.

Translates to plain values and back, and Stripe's errors to ExternalFailure with a flag that says
whether trying again can help. Knows no invoice of ours and decides nothing; calls are never made
inside a database transaction (`_client` refuses).
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import stripe
from django.conf import settings
from django.db import connection

from billing.domain.errors import ExternalFailure, InvalidInput

TIMEOUT_SECONDS = 20
_PAGE = 100


@dataclass(frozen=True, slots=True)
class RemoteInvoice:
    """An invoice as Stripe has it at the moment of asking. Amounts in cents."""

    id: str
    status: str
    customer: str
    currency: str
    subtotal: int
    total: int
    amount_paid: int
    amount_paid_outside: int
    number: str
    hosted_url: str
    metadata: Mapping[str, str]
    amount_remaining: int = 0
    credited_before_payment: int = 0
    credit_used: int = 0


@dataclass(frozen=True, slots=True)
class RemoteLine:
    """A line of such an invoice."""

    amount: int
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RemoteEvent:
    """A verified webhook event: a signal that its object changed, no more."""

    id: str
    type: str
    object_id: str
    payload: Mapping[str, Any]


@lru_cache(maxsize=4)
def _client_of(key: str, base: str) -> stripe.StripeClient:
    # Without max_network_retries a StripeClient does not retry at all, and waits 80 s a time.
    return stripe.StripeClient(
        key,
        max_network_retries=2,
        http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
        base_addresses={"api": base} if base else {},
    )


def is_configured() -> bool:
    """Whether there is a Stripe to talk to."""
    return bool(settings.STRIPE_API_KEY)


def environment() -> str:
    """`live` or `test`, after the key: part of every idempotency key and of all metadata."""
    key = settings.STRIPE_API_KEY
    return "live" if key.startswith(("sk_live_", "rk_live_")) else "test"


def _client() -> stripe.StripeClient:
    if not is_configured():
        raise ExternalFailure("stripe_not_configured", "There is no Stripe key.", permanent=False)
    # As atomic(durable=True) asks it: the database transaction around a test does not count.
    if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
        raise RuntimeError("Stripe may not be called inside a database transaction")
    return _client_of(settings.STRIPE_API_KEY, settings.STRIPE_API_BASE or "")


@contextmanager
def translated() -> Iterator[stripe.StripeClient]:
    """Stripe's errors as ExternalFailure; the codes are told apart by the step machine."""
    try:
        yield _client()
    except stripe.RateLimitError as error:
        raise ExternalFailure("stripe_rate_limit", str(error), permanent=False) from error
    except stripe.APIConnectionError as error:
        # Whether Stripe did it is not known: the answer may have been lost on the way back.
        raise ExternalFailure("stripe_unreachable", _text(error), permanent=False) from error
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        # Nothing is wrong with the invoice; a better key lets it pass.
        raise ExternalFailure("stripe_refuses_key", str(error), permanent=False) from error
    except stripe.IdempotencyError as error:
        raise ExternalFailure("stripe_key_reused", str(error), permanent=True) from error
    except stripe.StripeError as error:
        status = error.http_status or 0
        if status == 409:
            raise ExternalFailure("stripe_busy", str(error), permanent=False) from error
        if status == 404:
            raise ExternalFailure("stripe_not_found", str(error), permanent=True) from error
        if 400 <= status < 500:
            raise ExternalFailure("stripe_refused", str(error), permanent=True) from error
        # Stripe keeps a 500 for its idempotency key: the same key would only hear it again.
        raise ExternalFailure("stripe_server_error", str(error), permanent=False) from error


def _text(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:300]


def _invoice(found: stripe.Invoice) -> RemoteInvoice:
    plain = found.to_dict()
    return RemoteInvoice(
        id=plain["id"],
        status=plain["status"],
        customer=plain["customer"],
        currency=plain["currency"],
        subtotal=plain["subtotal"],
        total=plain["total"],
        amount_paid=plain["amount_paid"],
        amount_paid_outside=plain.get("amount_paid_off_stripe") or 0,
        number=plain.get("number") or "",
        hosted_url=plain.get("hosted_invoice_url") or "",
        metadata=plain.get("metadata") or {},
        amount_remaining=plain["amount_remaining"],
        credited_before_payment=plain["pre_payment_credit_notes_amount"],
        # A negative balance is the customer's credit; finalizing takes of it what it can.
        credit_used=min(0, plain.get("ending_balance") or 0)
        - min(0, plain.get("starting_balance") or 0),
    )


def create_customer(*, payload: Mapping[str, Any], key: str) -> str:
    """A new customer at Stripe: its id."""
    with translated() as client:
        return client.v1.customers.create(cast(Any, payload), {"idempotency_key": key}).id


def find_customers(*, email: str) -> list[tuple[str, Mapping[str, str]]]:
    """Ids and metadata of the customers with that email (lists are up to date, search is not)."""
    with translated() as client:
        found = client.v1.customers.list({"email": email, "limit": _PAGE}).auto_paging_iter()
        return [(customer.id, customer.to_dict().get("metadata") or {}) for customer in found]


def create_invoice(*, payload: Mapping[str, Any], key: str) -> RemoteInvoice:
    """A new draft."""
    with translated() as client:
        return _invoice(client.v1.invoices.create(cast(Any, payload), {"idempotency_key": key}))


def list_invoices(*, customer: str, created_since: int) -> list[RemoteInvoice]:
    """All invoices of a customer made at or after a unix time."""
    with translated() as client:
        found = client.v1.invoices.list(
            {"customer": customer, "created": {"gte": created_since}, "limit": _PAGE}
        )
        return [_invoice(invoice) for invoice in found.auto_paging_iter()]


def add_lines(*, invoice: str, payload: Mapping[str, Any], key: str) -> RemoteInvoice:
    """Lines, and metadata of the invoice in the same call."""
    with translated() as client:
        return _invoice(
            client.v1.invoices.add_lines(invoice, cast(Any, payload), {"idempotency_key": key})
        )


def get_invoice(*, invoice: str) -> RemoteInvoice:
    """The invoice as it is now."""
    with translated() as client:
        return _invoice(client.v1.invoices.retrieve(invoice))


def list_lines(*, invoice: str) -> list[RemoteLine]:
    """All lines, over all pages."""
    with translated() as client:
        found = client.v1.invoices.line_items.list(invoice, {"limit": _PAGE}).auto_paging_iter()
        return [RemoteLine(line.amount, line.to_dict().get("metadata") or {}) for line in found]


def finalize_invoice(*, invoice: str, payload: Mapping[str, Any], key: str) -> RemoteInvoice:
    """Draft to open."""
    with translated() as client:
        return _invoice(
            client.v1.invoices.finalize_invoice(
                invoice, cast(Any, payload), {"idempotency_key": key}
            )
        )


def send_invoice(*, invoice: str, key: str) -> RemoteInvoice:
    """Let Stripe mail it."""
    with translated() as client:
        return _invoice(client.v1.invoices.send_invoice(invoice, {}, {"idempotency_key": key}))


def void_invoice(*, invoice: str, key: str) -> RemoteInvoice:
    """Open or uncollectible to void."""
    with translated() as client:
        return _invoice(client.v1.invoices.void_invoice(invoice, {}, {"idempotency_key": key}))


def delete_draft(*, invoice: str) -> None:
    """Remove a draft; it consumes no number."""
    with translated() as client:
        client.v1.invoices.delete(invoice)


def verified_event(*, body: bytes, signature: str, secrets: Sequence[str]) -> RemoteEvent:
    """The event of a webhook, if one of the secrets signed exactly these bytes lately.

    Two secrets are live while one is rotated. Otherwise InvalidInput `invalid_signature`.
    """
    verify: Callable[..., stripe.Event] = stripe.Webhook.construct_event
    for secret in secrets:
        try:
            event = verify(body, signature, secret, tolerance=300)
        except (stripe.SignatureVerificationError, ValueError):
            continue
        # The body as it came: the library's own values hold Decimals, which are no JSON.
        plain = json.loads(body)
        about = plain.get("data", {}).get("object", {})
        return RemoteEvent(event.id, event.type, str(about.get("id") or ""), plain)
    raise InvalidInput("invalid_signature", "The signature fits none of the endpoint's secrets.")
