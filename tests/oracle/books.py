"""The trial balance: what stands on every ledger account, from figures and invoices alone.

Debit is positive. It is computed from the state, not from entries: entries are differences
between two such states, so their totals must agree with it.
"""

from collections import Counter
from fractions import Fraction

from .billing_run import given_back
from .facts import Chain, Facts
from .fold import Quarter, fold_chain
from .money import CENT, ZERO, whole_cents_below
from .rating import Usage

Balances = dict[str, Fraction]


def deferred(commit: str, quarter: int) -> str:
    """The name of the deferred revenue account of one quarter of one commit."""
    return f"deferred revenue {commit} Q{quarter}"


def trial_balance(facts: Facts, usage: Usage, customer: str | None = None) -> Balances:
    """All accounts that are not zero; the sum of all is zero."""
    total: Balances = {}
    for chain in facts.chains:
        if customer in (None, chain.commits[0].customer):
            add(total, chain_balance(facts, chain, usage))
    return {name: amount for name, amount in sorted(total.items()) if amount}


def add(total: Balances, more: Balances) -> None:
    """Add balances in place."""
    for name, amount in more.items():
        total[name] = total.get(name, ZERO) + amount


def chain_balance(facts: Facts, chain: Chain, usage: Usage) -> Balances:
    """The accounts of one chain of commits."""
    quarters = fold_chain(facts, chain, usage)
    total = _money_side(facts, chain)
    if not quarters:
        return total
    over = sum((one.overage for one in quarters), ZERO)
    usage_cents = _live_cents(facts, chain, usage_lines=True)
    never = sum(line.cents for line in chain.never_billed) * CENT
    keys = {commit.key for commit in chain.commits}
    credited = sum(
        (one.amount for one in facts.credits if one.slot[0] in keys and not one.given_back), ZERO
    )
    add(
        total,
        {
            "usage revenue": -sum((one.drawn for one in quarters), ZERO),
            "overage revenue": chain.conceded_cents * CENT - over,
            "breakage revenue": -sum((one.breakage for one in quarters), ZERO),
            "contra-revenue": credited - sum((one.credits_expired for one in quarters), ZERO),
            "unbilled receivable": (
                over
                + given_back(facts, chain)
                - usage_cents
                + chain.usage_refunded_cents * CENT
                - chain.rounded_off
            ),
            "rounding": (
                chain.rounded_off + never - sum((_residue(chain, one) for one in quarters), ZERO)
            ),
        },
    )
    for quarter in quarters:
        add(total, {deferred(*quarter.slot.key): _deferred(facts, chain, quarter)})
    return total


def _residue(chain: Chain, quarter: Quarter) -> Fraction:
    """Money left at the end that nobody can be paid: part of a cent, or never billed."""
    if not chain.ended:
        return ZERO
    cents = whole_cents_below(quarter.refundable)
    never = sum(line.cents for line in chain.never_billed)
    return quarter.refundable - max(0, cents - never) * CENT


def _deferred(facts: Facts, chain: Chain, quarter: Quarter) -> Fraction:
    """What remains of a quarter's grants less its grants not yet invoiced, as a credit."""
    remaining = quarter.refundable - _residue(chain, quarter) if quarter.posted else quarter.left
    invoiced = (
        sum(
            line.cents
            for invoice in facts.invoices
            if invoice.booked
            for line in invoice.lines
            if not line.for_usage and (line.commit, line.quarter) == quarter.slot.key
        )
        * CENT
    )
    never = [
        line.cents for line in chain.never_billed if (line.commit, line.quarter) == quarter.slot.key
    ]
    invoiced += sum(never) * CENT
    # An uncollectible invoice gives up the claim on what was not used: it can still be drawn.
    unused = sum(
        (
            invoice.unused.get(quarter.slot.index, ZERO)
            for invoice in facts.invoices
            if invoice.state == "uncollectible" and invoice.commit == quarter.slot.commit.key
        ),
        ZERO,
    )
    return quarter.paid - invoiced - remaining + unused


def _chain_invoices(facts: Facts, chain: Chain) -> list[int]:
    keys = {commit.key for commit in chain.commits}
    return [place for place, one in enumerate(facts.invoices) if one.commit in keys]


def _live_cents(facts: Facts, chain: Chain, *, usage_lines: bool) -> Fraction:
    """Dollars on issued invoices, of usage lines or of the others."""
    lines = [
        line
        for place in _chain_invoices(facts, chain)
        if facts.invoices[place].booked
        for line in facts.invoices[place].lines
    ]
    return sum(line.cents for line in lines if line.for_usage is usage_lines) * CENT


def _money_side(facts: Facts, chain: Chain) -> Balances:
    """What came in, and what is still to come in: negative where a refund is owed."""
    total: Counter[str] = Counter()
    bad_debt = ZERO
    for place in _chain_invoices(facts, chain):
        invoice = facts.invoices[place]
        if invoice.state in ("finalized", "paid"):
            total["accounts receivable"] += invoice.owed_cents - invoice.paid_cents
            through = "stripe clearing" if invoice.paid_through == "stripe" else "bank"
            total[through] += invoice.paid_cents
        elif invoice.state == "uncollectible":
            unused = sum(invoice.unused.values(), ZERO)
            bad_debt += invoice.owed_cents * CENT - unused
        else:
            total["accounts receivable"] -= invoice.credited_cents
        if invoice.state in ("finalized", "paid", "uncollectible"):
            total["sales tax payable"] -= invoice.tax_cents
        if invoice.withdrawn_cents is not None:
            bad_debt += (invoice.total_cents - invoice.withdrawn_cents) * CENT
    return {"bad debt": bad_debt, **{name: cents * CENT for name, cents in total.items()}}
