"""Every figure of the books and of the oracle in one shape, so that they can be compared.

A figure is a name and a value; amounts are exact fractions of a dollar.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from tests.oracle.world import World
from tests.prove.product import Product

Figures = dict[str, Any]

# What is owed back, and how, depends on when an invoice was paid: one sum with what is owed to us.
ACCOUNTS = {
    "contra_revenue": "contra-revenue",
    "customer_credits": "accounts receivable",
    "refunds_payable": "accounts receivable",
}


def oracle_quarters(world: World, commit: str) -> Figures:
    """The quarters of a commit as the oracle has them."""
    found: Figures = {}
    for one in world.quarters(commit):
        name = f"{commit} Q{one.slot.index}"
        found[f"{name} bounds"] = (one.slot.start, one.slot.end)
        found[f"{name} posted"] = one.posted
        found[f"{name} granted"] = one.granted
        found[f"{name} rolled_in"] = one.rolled_in
        found[f"{name} used"] = one.used
        found[f"{name} overage"] = one.overage
        found[f"{name} rolled_out"] = one.rolled_out
        found[f"{name} breakage"] = (one.breakage, one.credits_expired)
        found[f"{name} grants"] = [
            (s.drawn.grant.kind, s.drawn.grant.amount, s.drawn.drawn, s.rolled, s.lapsed)
            for s in one.settled
        ]
    return found


def product_quarters(commit: str, views: Iterable[Any]) -> Figures:
    """The same as anyone reads them from the service."""
    found: Figures = {}
    for view in views:
        name, figures = f"{commit} Q{view.quarter.index}", view.figures
        found[f"{name} bounds"] = (view.quarter.starts_at, view.quarter.ends_at)
        found[f"{name} posted"] = figures.closed
        found[f"{name} granted"] = Fraction(figures.granted)
        found[f"{name} rolled_in"] = Fraction(figures.rolled_in)
        found[f"{name} used"] = Fraction(figures.used)
        found[f"{name} overage"] = Fraction(figures.overage)
        found[f"{name} rolled_out"] = Fraction(figures.rolled_out)
        found[f"{name} breakage"] = (
            Fraction(figures.breakage_paid),
            Fraction(figures.breakage_credit),
        )
        found[f"{name} grants"] = [
            (str(g.grant.kind), *map(Fraction, (g.grant.amount, g.drawn, g.rolled_out, g.broken)))
            for g in figures.grants
            if g.grant.amount
        ]
    return found


def oracle_balance(world: World, customer: str) -> Figures:
    """The balance now, or nothing where no quarter runs."""
    balance = world.balance(customer)
    if balance is None:
        return {}
    return {
        "balance quarter": (balance.commit, balance.index),
        "balance granted": balance.granted,
        "balance used": balance.used,
        "balance available": balance.available,
        "balance overage": balance.overage,
        "balance pending_rollover": balance.pending_rollover,
    }


def product_balance(product: Product, customer: str, now: Any) -> Figures:
    """The balance now as the API reads it, or nothing where no quarter runs."""
    from billing.domain.errors import NotFound
    from commits.services import balances

    try:
        read = balances.read_balance(customer=product.customers[customer], now=now)
    except NotFound:
        return {}
    if not read.quarter.starts_at <= now < read.quarter.ends_at:
        return {}
    keys = {pk: key for key, pk in product.commits.items()}
    return {
        "balance quarter": (keys[read.commit.pk], read.quarter.index),
        "balance granted": Fraction(read.granted),
        "balance used": Fraction(read.used),
        "balance available": Fraction(read.available),
        "balance overage": Fraction(read.overage),
        "balance pending_rollover": Fraction(read.pending_rollover),
    }


def oracle_accounts(world: World, customer: str) -> Figures:
    """The trial balance, deferred revenue by commit and quarter."""
    return {f"account {name}": amount for name, amount in world.trial_balance(customer).items()}


def product_accounts(product: Product, customer: str) -> Figures:
    """The same from the ledger's accounts."""
    from billing.models import LedgerAccount

    keys = {pk: key for key, pk in product.commits.items()}
    found: Figures = {}
    for account in LedgerAccount.objects.filter(customer=product.customers[customer]):
        name = ACCOUNTS.get(account.code, account.code.replace("_", " "))
        if account.quarter_index is not None and account.commit_id is not None:
            name = f"{name} {keys[account.commit_id]} Q{account.quarter_index}"
        total = found.get(f"account {name}", Fraction(0)) + Fraction(account.balance)
        found[f"account {name}"] = total
    return {name: amount for name, amount in found.items() if amount}


def _lines(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(rows)


def oracle_invoices(world: World, customer: str) -> Figures:
    """Invoices by occasion: state, total, and lines."""
    found: Figures = {}
    for one in world.invoices(customer):
        name = f"invoice {one.commit} {one.occasion} r{one.revision}"
        state = "void" if one.state == "reissued" else one.state
        found[f"{name} total"] = (state, one.total_cents)
        found[f"{name} lines"] = _lines(
            (li.kind, li.quarter, li.cents, li.model, li.mode, li.meter, li.rate,
             li.quantity if li.model else 0)
            for li in one.lines
        )  # fmt: skip
    return found


def product_invoices(product: Product, customer: str) -> Figures:
    """The same from the stored invoices; remembers their ids for the story."""
    keys = {pk: key for key, pk in product.commits.items()}
    asked = {pk.hex: key for key, pk in product.true_ups.items()}
    found: Figures = {}
    for invoice in product.customers[customer].invoices.prefetch_related("lines"):
        ref = asked.get(invoice.occasion_ref, invoice.occasion_ref)
        occasion = f"{invoice.occasion.replace('_', '-')} {ref}".strip()
        name = f"invoice {keys[invoice.commit_id]} {occasion} r{invoice.revision}"
        found[f"{name} total"] = (str(invoice.state), invoice.total_cents)
        found[f"{name} lines"] = _lines(
            (li.kind, li.quarter_index, li.amount_cents, li.model, li.mode, li.meter,
             Fraction(li.rate or 0), int(li.quantity or 0))
            for li in invoice.lines.all()
        )  # fmt: skip
        product.invoice_ids[name] = invoice.pk
    return found


def differences(expected: Figures, got: Figures, *, ahead: bool = False) -> list[str]:
    """What is not equal. With `ahead` the product may have more that is empty."""
    found = []
    for name in [*expected, *(name for name in got if name not in expected)]:
        right, there = expected.get(name), got.get(name)
        if right == there:
            continue
        if ahead and name not in expected and (_is_empty(there) or name.endswith("bounds")):
            continue
        found.append(f"{name}: oracle {show(right)}, books {show(there)}")
    return found


def _is_empty(value: Any) -> bool:
    return not any(value) if isinstance(value, tuple) else not value


def show(value: Any) -> str:
    """A figure for people."""
    if isinstance(value, Fraction):
        return f"{float(value):.12f}".rstrip("0").rstrip(".")
    if isinstance(value, tuple):
        return "(" + ", ".join(show(one) for one in value) + ")"
    if isinstance(value, list):
        return "[" + ", ".join(show(one) for one in value) + "]"
    return str(value)
