"""Credit notes: made by a close over live invoices, or by finance on one of them."""

from fractions import Fraction

from .facts import Chain, Facts
from .fold import fold_chain
from .happenings import TakeBack
from .money import CENT, ZERO
from .quarters import SlotKey
from .rating import chain_slots, rate_all


def credit(facts: Facts, chain: Chain, cents: int, *, usage: bool) -> int:
    """Credit notes over the live invoices of a chain, most recent first; how much it was."""
    keys = {commit.key for commit in chain.commits}
    left = cents
    for invoice in reversed(facts.invoices):
        if invoice.commit in keys and invoice.live:
            part = min(left, invoice.creditable(usage=usage))
            invoice.credited[usage] += part
            left -= part
    return cents - left


def take_back(facts: Facts, happening: TakeBack) -> str:
    """A note by hand: usage billed is revenue less; money in advance must not be used yet."""
    invoice, cents = facts.invoices[happening.invoice - 1], happening.cents
    if invoice.state not in ("finalized", "paid"):
        return "refused"
    if not 0 < cents <= invoice.creditable(usage=happening.usage):
        return "refused"
    chain = facts.chain_of(invoice.commit)
    if happening.usage:
        chain.conceded_cents += cents
    else:
        billed = max(line.quarter for line in invoice.lines if not line.for_usage)
        slot = _holder(facts, chain, (invoice.commit, billed))
        if slot is None or cents * CENT > _unused(facts, chain, slot):
            return "refused"
        chain.refunded[slot] = chain.refunded.get(slot, 0) + cents
    invoice.credited[happening.usage] += cents
    return "ok"


def _holder(facts: Facts, chain: Chain, billed: SlotKey) -> SlotKey | None:
    """The quarter billed while it is open, else the open one, to which its money has rolled."""
    unposted = [one.key for one in chain_slots(facts, chain) if one.key not in chain.posted]
    if billed in unposted:
        return billed
    return unposted[0] if unposted else None


def _unused(facts: Facts, chain: Chain, slot: SlotKey) -> Fraction:
    """What is left of paid money in a quarter."""
    quarter = next(one for one in fold_chain(facts, chain, rate_all(facts)) if one.slot.key == slot)
    return sum(
        (one.drawn.left for one in quarter.settled if one.drawn.grant.origin != "credit"), ZERO
    )
