"""The trial balance of one customer, summed from the journal that the API shows."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from tests.scenarios.story import table
from tests.scenarios.world import World

Balances = dict[str, Decimal]


def balances(world: World, customer: str = "acme") -> Balances:
    """Account -> balance, debit positive. Every entry must be balanced; empty accounts go."""
    found: defaultdict[str, Decimal] = defaultdict(Decimal)
    for entry in world.ada.listed(f"/customers/{customer}/entries"):
        amounts = [Decimal(posting["amount"]) for posting in entry["postings"]]
        assert sum(amounts) == 0, entry
        for posting, amount in zip(entry["postings"], amounts, strict=True):
            quarter = posting.get("quarter")
            account = f"{posting['account']}{f' Q{quarter}' if quarter else ''}"
            found[account] += amount
    return {account: amount for account, amount in sorted(found.items()) if amount}


def trial_balance(world: World, customer: str = "acme") -> str:
    """As a printed table: account, debit, credit, and the sums."""
    rows = [["account", "debit", "credit"]]
    debits = credits_ = Decimal(0)
    for account, amount in balances(world, customer).items():
        shown = f"{abs(amount):.12f}"
        rows.append([account, shown, "-"] if amount > 0 else [account, "-", shown])
        debits, credits_ = debits + max(amount, Decimal(0)), credits_ + max(-amount, Decimal(0))
    rows.append(["sum", f"{debits:.12f}", f"{credits_:.12f}"])
    return table([[cell.replace(" ", "_") for cell in row] for row in rows])


def difference(before: Balances, after: Balances) -> dict[str, str]:
    """What changed, account by account."""
    accounts = sorted({*before, *after})
    changes = {name: after.get(name, Decimal(0)) - before.get(name, Decimal(0))
               for name in accounts}  # fmt: skip
    return {name: f"{change:.12f}" for name, change in changes.items() if change}
