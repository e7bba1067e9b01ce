"""What an invoice comes to: totals, customer balance, the minimum charge. Pure integers of cents.

A positive customer balance is owed by the customer and raises the next invoice; a negative one is
the customer's credit and lowers it.
"""

from __future__ import annotations

from dataclasses import dataclass

MINIMUM_CHARGE_CENTS = {
    "usd": 50, "eur": 50, "gbp": 30, "cad": 50, "aud": 50, "chf": 50, "nzd": 50, "sgd": 50,
    "jpy": 50, "dkk": 250, "nok": 300, "sek": 300, "pln": 200, "czk": 1500,
}  # fmt: skip


@dataclass(frozen=True)
class Settlement:
    """What finalization makes of a total and a customer balance."""

    amount_due: int
    ending_balance: int

    @property
    def paid_at_once(self) -> bool:
        """Nothing is left to collect."""
        return self.amount_due == 0


def settle(total: int, starting_balance: int, currency: str) -> Settlement:
    """Apply the balance; credit left over, and an amount below the minimum, stay on the balance."""
    due = total + starting_balance
    if due < MINIMUM_CHARGE_CENTS.get(currency, 50):
        return Settlement(amount_due=0, ending_balance=due)
    return Settlement(amount_due=due, ending_balance=0)
