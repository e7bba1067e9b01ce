"""The cast of the billing tests, and the facts that they begin with."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from billing.domain.journal import Entry, EntryCode, Scope, payment_moves, postings_of, usage_moves
from billing.models import ApiKeyKind, Customer, Invoice, LineKind, Occasion
from billing.services import api_keys, customers, invoices

NOW = datetime(2026, 4, 4, 12, tzinfo=UTC)
TODAY = date(2026, 4, 4)


def make_customer(key: str = "acme") -> Customer:
    """A customer of that key."""
    return customers.create_customer(
        key=key, name=key.title(), email=f"billing@{key}.example", now=NOW
    )


def finance_key(user: str = "ada") -> str:
    """A finance key's text."""
    made = api_keys.create_api_key(
        kind=ApiKeyKind.FINANCE, now=NOW, user=api_keys.ensure_controller(name=user)
    )
    return made.text


def customer_key(customer: Customer) -> str:
    """A customer key's text."""
    return api_keys.create_api_key(kind=ApiKeyKind.CUSTOMER, now=NOW, customers=[customer]).text


def agent_key() -> str:
    """An agent key's text."""
    return api_keys.create_api_key(kind=ApiKeyKind.AGENT, now=NOW).text


def usage_entry(
    customer: Customer, key: str, drawn: str, *, on: date = TODAY, commit_id: UUID | None = None
) -> Entry:
    """A drawdown of the first quarter."""
    scope = Scope(customer.pk, commit_id or UUID(int=5))
    postings = postings_of(scope, *usage_moves(1, Decimal(drawn), Decimal(0)))
    return Entry(key, EntryCode.USAGE_DRAWDOWN, scope, on, postings, quarter_index=1)


def payment_entry(customer: Customer, key: str, dollars: str) -> Entry:
    """A payment through Stripe."""
    scope = Scope(customer.pk)
    postings = postings_of(scope, *payment_moves(Decimal(dollars), outside_stripe=False))
    return Entry(key, EntryCode.PAYMENT_STRIPE, scope, TODAY, postings)


def line(
    cents: int, kind: LineKind = LineKind.OVERAGE, quarter: int = 1, **more: object
) -> invoices.LineDraft:
    """One line of the first quarter of 2026."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return invoices.LineDraft(
        kind=kind,
        quarter_index=quarter,
        description=f"{kind.label} of Q{quarter}",
        amount_cents=cents,
        period_start=start,
        period_end=start + timedelta(days=90),
        **more,  # type: ignore[arg-type]
    )


def make_invoice(
    customer: Customer,
    *lines: invoices.LineDraft,
    commit_id: UUID | None = None,
    occasion: Occasion = Occasion.CLOSE,
) -> Invoice:
    """A draft: by default an instalment of $30,000 and overage of $3,500."""
    return invoices.draft_invoice(
        invoices.InvoiceDraft(
            id=uuid4(),
            customer_id=customer.pk,
            commit_id=commit_id or uuid4(),
            occasion=occasion,
            occasion_ref="1",
            revision=1,
            lines=lines or (line(3_000_000, LineKind.INSTALMENT, 2), line(350_000)),
        ),
        now=NOW,
    )
