"""Invoices that nobody will pay: uncollectible ones, and void ones that are written off."""

from fractions import Fraction

from .books import chain_balance, deferred
from .facts import Chain, Facts
from .fold import fold_chain
from .happenings import Uncollectible, WriteOff
from .invoices import Invoice
from .money import CENT, ZERO, whole_cents_below
from .rating import rate_all


def uncollectible(facts: Facts, happening: Uncollectible) -> str:
    """The claim is given up: what was used of it is a bad debt, the rest was never owed.

    Unused is what still stands as deferred revenue of a quarter, at most what the invoice billed
    for it in advance; what has rolled on counts as used.
    """
    invoice = facts.invoices[happening.invoice - 1]
    if invoice.state != "finalized":
        return "refused"
    balances = chain_balance(facts, facts.chain_of(invoice.commit), rate_all(facts))
    owed = invoice.owed_cents * CENT
    for quarter in sorted({line.quarter for line in invoice.lines if not line.for_usage}):
        standing = -balances.get(deferred(invoice.commit, quarter), ZERO)
        part = max(ZERO, min(standing, _billed(invoice, quarter), owed))
        invoice.unused[quarter] = part
        owed -= part
    invoice.state = "uncollectible"
    return "ok"


def _billed(invoice: Invoice, quarter: int) -> Fraction:
    lines = [one for one in invoice.lines if not one.for_usage and one.quarter == quarter]
    return sum(line.cents for line in lines) * CENT


def write_off(facts: Facts, happening: WriteOff) -> str:
    """What nobody has used of a void invoice's money leaves its quarters, the rest is bad debt.

    Money is told by the grant that it came from first. An earlier write-off took what would be
    drawn last, perhaps from this invoice; so what is left of the earlier one's counts as well.
    """
    invoice = facts.invoices[happening.invoice - 1]
    if invoice.state != "void" or invoice.written_off:
        return "refused"
    chain = facts.chain_of(invoice.commit)
    keys = {commit.key for commit in chain.commits}
    given_up = [one for one in facts.invoices if one.written_off and one.commit in keys]
    sources = {line.source for one in (invoice, *given_up) for line in one.lines if line.source}
    room = sum(line.cents for line in invoice.lines if not line.for_usage)
    invoice.withdrawn_cents = _withdraw(facts, chain, sources, room)
    return "ok"


def _withdraw(facts: Facts, chain: Chain, sources: set[str], room: int) -> int:
    """Take the unused money of these grants out of its quarters, newest first; the cents."""
    taken = 0
    for quarter in reversed(fold_chain(facts, chain, rate_all(facts))):
        left = sum(
            (
                one.refundable if quarter.posted else one.drawn.left
                for one in quarter.settled
                if one.drawn.grant.source in sources
            ),
            ZERO,
        )
        cents = min(room - taken, whole_cents_below(left))
        key = quarter.slot.key
        chain.refunded[key] = chain.refunded.get(key, 0) + cents
        taken += cents
    return taken
