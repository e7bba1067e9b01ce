"""Which operations the simulator offers, and which parameters of Stripe's each of them honours.

A parameter that Stripe knows and the simulator would silently forget is refused instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from . import (
    balances,
    credit_notes,
    customers,
    event_reads,
    invoice_items,
    invoice_life,
    invoices,
    lines,
    payments,
    webhook_endpoints,
)
from .call import Call
from .line_shape import LINE_FIELDS
from .store import Json

PAGING = {"limit", "starting_after", "ending_before"}
ALWAYS = {"expand"}


@dataclass(frozen=True)
class Offer:
    """One operation: its path template, what runs it, and the parameters that it honours."""

    method: str
    template: str
    run: Callable[[Call], Json]
    honours: set[str] = field(default_factory=set)


def resource(base: str, one: str, module: object, *, lists: set[str]) -> list[Offer]:
    """Retrieve and list, and create, update and delete where the module has them."""
    offers = [
        Offer("GET", f"{base}/{{{one}}}", module.retrieve),  # type: ignore[attr-defined]
        Offer("GET", base, module.list_, lists | PAGING),  # type: ignore[attr-defined]
    ]
    creates: set[str] = getattr(module, "CREATES", set())
    for name, method, path, honours in (
        ("create", "POST", base, creates),
        ("update", "POST", f"{base}/{{{one}}}", getattr(module, "UPDATES", creates)),
        ("delete", "DELETE", f"{base}/{{{one}}}", set()),
    ):
        if hasattr(module, name):
            offers.append(Offer(method, path, getattr(module, name), honours))
    return offers


INVOICE = "/v1/invoices/{invoice}"
BALANCES = "/v1/customers/{customer}/balance_transactions"
LINES = {"lines", "invoice_metadata"}
OFFERS: list[Offer] = [
    *resource("/v1/customers", "customer", customers, lists={"created", "email"}),
    *resource(BALANCES, "transaction", balances, lists={"created", "invoice"}),
    *resource("/v1/invoices", "invoice", invoices, lists=invoices.LISTS),
    Offer("POST", f"{INVOICE}/add_lines", lines.add, LINES),
    Offer("POST", f"{INVOICE}/update_lines", lines.update, LINES),
    Offer("POST", f"{INVOICE}/remove_lines", lines.remove, LINES),
    Offer("GET", f"{INVOICE}/lines", lines.list_, PAGING),
    Offer("POST", f"{INVOICE}/lines/{{line_item_id}}", lines.update_one, LINE_FIELDS),
    Offer("POST", f"{INVOICE}/finalize", invoice_life.finalize, {"auto_advance"}),
    Offer("POST", f"{INVOICE}/send", invoice_life.send),
    Offer("POST", f"{INVOICE}/pay", invoice_life.pay, invoice_life.PAY),
    Offer("POST", f"{INVOICE}/void", invoice_life.void),
    Offer("POST", f"{INVOICE}/mark_uncollectible", invoice_life.mark_uncollectible),
    *resource("/v1/invoiceitems", "invoiceitem", invoice_items, lists=invoice_items.LISTS),
    *resource("/v1/invoice_payments", "invoice_payment", payments, lists=payments.LISTS),
    *resource("/v1/credit_notes", "id", credit_notes, lists=credit_notes.LISTS),
    Offer("POST", "/v1/credit_notes/{id}/void", credit_notes.void),
    Offer("GET", "/v1/credit_notes/{credit_note}/lines", credit_notes.list_lines, PAGING),
    *resource("/v1/webhook_endpoints", "webhook_endpoint", webhook_endpoints, lists=set()),
    *resource("/v1/events", "id", event_reads, lists=event_reads.LISTS),
]


def compiled(template: str) -> re.Pattern[str]:
    """A pattern that names the path parameters."""
    return re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", template))


ROUTES = [(offer, compiled(offer.template)) for offer in OFFERS]


def find(method: str, path: str) -> tuple[Offer, dict[str, str]] | None:
    """The operation for a path, with its path parameters."""
    for offer, pattern in ROUTES:
        found = pattern.fullmatch(path) if offer.method == method else None
        if found:
            return offer, found.groupdict()
    return None
