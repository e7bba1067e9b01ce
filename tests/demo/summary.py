"""The end of the demo: a table for each customer, the verdict on the books, the machine's line.

Every figure is read back from the service.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.demo import cast
from tests.demo.client import ApiClient
from tests.demo.contracts import Signed
from tests.demo.service import Service, ServiceFailed, last_line

COLUMNS = (
    ("quarter", 10), ("granted", 12), ("rolled in", 12), ("used", 12), ("overage", 12),
    ("rolled out", 12), ("invoice", 12), ("state", 16),
)  # fmt: skip

# Invoices that no close has made.
OCCASIONS = {"activation": "signing", "true_up": "true-up"}


@dataclass
class Totals:
    """What the service says of all customers together."""

    used: Decimal = Decimal(0)
    invoiced_cents: int = 0
    quantities: Counter[str] = field(default_factory=Counter)

    @property
    def input_tokens(self) -> int:
        """Cached ones included, as providers report them."""
        return self.quantities["input_tokens"] + self.quantities["cached_input_tokens"]

    @property
    def output_tokens(self) -> int:
        return self.quantities["output_tokens"]


def tell(api: ApiClient, signed: Signed, totals: Totals) -> str:
    """A customer's table; adds the customer's figures to the totals."""
    contract = signed.contract
    invoices = list(api.listed(f"/customers/{contract.key}/invoices"))
    quarters = list(api.listed(f"/commits/{signed.commit_id}/quarters"))
    totals.used += sum((Decimal(row["used"]) for row in quarters), Decimal(0))
    totals.invoiced_cents += sum(
        invoice["total_cents"] for invoice in invoices if invoice["state"] not in ("draft", "void")
    )
    for row in api.listed(_usage_route(contract.key)):
        totals.quantities[row["meter"]] += int(row["quantity"])
    by_id = {invoice["id"]: invoice for invoice in invoices}
    of_closes = {row["invoice"] for row in quarters}
    lines = [f"{contract.name} ({contract.character}): ${Decimal(contract.instalment):,.2f} a "
             f"quarter at {Decimal(contract.discount):.0%} off"]  # fmt: skip
    lines.append(_row([name for name, _ in COLUMNS]))
    for invoice in invoices:
        if invoice["id"] not in of_closes:
            cents = _cents(invoice["total_cents"])
            name = OCCASIONS.get(invoice["occasion"], invoice["occasion"])
            lines.append(_row([name, *[""] * 5, cents, invoice["state"]]))
    lines += [_quarter_row(row, by_id.get(row["invoice"])) for row in quarters]
    return "\n".join(lines)


def _quarter_row(row: dict[str, Any], invoice: dict[str, Any] | None) -> str:
    name = f"Q{row['index']}{' tail' if row.get('tail') else ''}"
    figures = ("granted", "rolled_in", "used", "overage", "rolled_out")
    state = row["state"] + (f", {invoice['state']}" if invoice else "")
    cents = _cents(invoice["total_cents"]) if invoice else ""
    return _row([name, *[f"{Decimal(row[name]):,.2f}" for name in figures], cents, state])


def _row(cells: Sequence[str]) -> str:
    first, *rest = zip(cells, COLUMNS, strict=True)
    shown = [f"{first[0]:<{first[1][1]}}", *[f"{cell:>{width}}" for cell, (_, width) in rest]]
    return "  " + " ".join(shown)


def _cents(cents: int) -> str:
    return f"{cents // 100:,}.{cents % 100:02}"


def _usage_route(key: str) -> str:
    since, until = cast.BOUNDARIES[0], cast.BOUNDARIES[-1]
    instants = [one.isoformat().replace("+00:00", "Z") for one in (since, until)]
    return f"/customers/{key}/usage?from={instants[0]}&to={instants[1]}&group_by=meter"


def check_ledger(service: Service) -> tuple[bool, str]:
    """Every balance derived anew from events and journal: (whether all agree, the verdict)."""
    try:
        return True, last_line(service.manage("check_ledger"))
    except ServiceFailed as failure:
        return False, str(failure)


def machine_line(figures: dict[str, Any]) -> str:
    """The last line of the demo: one JSON object."""
    return json.dumps(figures)
