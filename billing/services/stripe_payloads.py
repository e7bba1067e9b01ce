"""What we say to Stripe about an invoice: payloads, digests and idempotency keys. No calls."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from billing.models import Invoice, InvoiceLine, LineKind
from billing.services.stripe_gateway import RemoteInvoice, RemoteLine, environment

# Stripe's limit of lines on one invoice.
MAX_LINES = 250
CURRENCY = "usd"


def days_until_due() -> int:
    """Days that a customer has to pay."""
    return int(getattr(settings, "STRIPE_DAYS_UNTIL_DUE", 30))


def idempotency_key(invoice: Invoice, step: str, epoch: int) -> str:
    """The key of one step: the same for every worker and every restart."""
    return f"{environment()}:{invoice.pk}:{step}:{epoch}"


def draft_payload(invoice: Invoice, stripe_customer: str) -> dict[str, Any]:
    """A draft that nothing but we ever completes: no stray items, no automatic finalization."""
    return {
        "customer": stripe_customer,
        "currency": CURRENCY,
        "collection_method": "send_invoice",
        "days_until_due": days_until_due(),
        "auto_advance": False,
        "pending_invoice_items_behavior": "exclude",
        "metadata": {
            "ledger_invoice": str(invoice.pk),
            "ledger_environment": environment(),
            "commit": str(invoice.commit_id),
            "occasion": invoice.occasion,
            "occasion_ref": invoice.occasion_ref,
            "revision": str(invoice.revision),
        },
    }


def lines_payload(invoice: Invoice) -> dict[str, Any]:
    """All lines at once, and in the same call the digest that proves them complete."""
    lines = _remote_lines(list(invoice.lines.order_by("position")))
    return {"lines": lines, "invoice_metadata": {"lines_digest": _digest(lines)}}


def _remote_lines(lines: Sequence[InvoiceLine]) -> list[dict[str, Any]]:
    """At most MAX_LINES: the smallest usage lines are folded into one line for each kind."""
    usage = [line for line in lines if line.kind in (LineKind.OVERAGE, LineKind.LATE_USAGE)]
    smallest_last = sorted(usage, key=lambda line: (-line.amount_cents, line.position))
    folded: dict[str, list[InvoiceLine]] = {}
    count = len(lines)
    while count > MAX_LINES:
        line = smallest_last.pop()
        # The first of a kind only changes places with the line that it is folded into.
        count -= 1 if line.kind in folded else 0
        folded.setdefault(line.kind, []).append(line)
    gone = {line.pk for group in folded.values() for line in group}
    return [_one(line) for line in lines if line.pk not in gone] + [
        _other(kind, group) for kind, group in sorted(folded.items())
    ]


def _one(line: InvoiceLine) -> dict[str, Any]:
    return {
        "amount": line.amount_cents,
        "description": line.description,
        "period": _period([line]),
        "metadata": {"ledger_line": str(line.position)},
    }


def _other(kind: str, lines: Sequence[InvoiceLine]) -> dict[str, Any]:
    what = "Late usage" if kind == LineKind.LATE_USAGE else "Usage above the commit"
    return {
        "amount": sum(line.amount_cents for line in lines),
        "description": f"{what}: {len(lines)} further models and meters together",
        "period": _period(lines),
        "metadata": {"ledger_line": f"other-{kind}"},
    }


def _period(lines: Sequence[InvoiceLine]) -> dict[str, int]:
    # Stripe's periods include their last second; ours end before `period_end`.
    start = min(int(line.period_start.timestamp()) for line in lines)
    end = max(int(line.period_end.timestamp()) for line in lines) - 1
    return {"start": start, "end": max(start, end)}


def _digest(lines: Sequence[Mapping[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(lines, sort_keys=True).encode()).hexdigest()


def lines_state(
    payload: Mapping[str, Any], remote: RemoteInvoice, lines: Sequence[RemoteLine]
) -> str:
    """`all`, `none` or `some` of a payload's lines stand on Stripe's draft."""
    wanted = sorted(line["metadata"]["ledger_line"] for line in payload["lines"])
    found = sorted(line.metadata.get("ledger_line", "?") for line in lines)
    marker = remote.metadata.get("lines_digest")
    if not found and marker is None:
        return "none"
    complete = found == wanted and marker == payload["invoice_metadata"]["lines_digest"]
    return "all" if complete else "some"


def differences(
    invoice: Invoice,
    stripe_customer: str,
    payload: Mapping[str, Any],
    remote: RemoteInvoice,
    lines: Sequence[RemoteLine],
) -> list[str]:
    """Everything in which Stripe's invoice is not ours: nothing, or it is never finalized."""
    problems = []
    if remote.metadata.get("ledger_invoice") != str(invoice.pk):
        problems.append("it is another invoice's")
    if remote.customer != stripe_customer:
        problems.append(f"customer {remote.customer}")
    if remote.currency != CURRENCY:
        problems.append(f"currency {remote.currency}")
    if lines_state(payload, remote, lines) != "all":
        problems.append("lines are missing, doubled or foreign")
    wanted = sorted((line["metadata"]["ledger_line"], line["amount"]) for line in payload["lines"])
    found = sorted((line.metadata.get("ledger_line", "?"), line.amount) for line in lines)
    if wanted != found:
        problems.append("amounts of lines")
    if remote.subtotal != invoice.total_cents:
        problems.append(f"subtotal {remote.subtotal} instead of {invoice.total_cents} cents")
    return problems
