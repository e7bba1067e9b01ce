"""What is left when everything has come to rest: what must not depend on who came first."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.crash.harness import Place

# Arrival order decides on which invoice something stands, and how often something is booked. It
# decides nothing of these.
ORDERLESS = ("balances", "metering_usageday", "metering_usagehour", "metering_usagetotal")


def settled(place: Place) -> dict[str, Any]:
    """Let everything come to rest, and say what does not depend on the order."""
    state = place.state("settle")
    outcome = place.run("invoiced")
    assert outcome.exits == [0], outcome.errors
    invoices = place.stripe.objects("invoice")
    once = Counter(invoice["metadata"]["ledger_invoice"] for invoice in invoices)
    assert len(invoices) == len(state["billing_invoice"]) == len(once)
    assert len(state["entries"]) == len(set(state["entries"]))
    assert {invoice["status"] for invoice in invoices} == {"open"}
    assert len(place.stripe.objects("customer")) == 4
    return {
        **{table: state[table] for table in ORDERLESS},
        "events": len(state["metering_everyusageevent"]),
        # A true-up voids an approval that is not posted yet, so others may have been withdrawn.
        "posted": sum('"posted"' in close for close in state["commits_close"]),
        "cents": outcome.answers[0][0],
        "cents at Stripe": sum(invoice["total"] for invoice in invoices),
    }
