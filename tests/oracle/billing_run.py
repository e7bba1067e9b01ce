"""From exact dollars to invoices in cents: overage, late usage, instalments, true-ups."""

from fractions import Fraction

from .facts import Chain, Facts, GroupKey, Unbilled
from .fold import Quarter, posted_overage
from .invoices import STRIPE_MINIMUM_CENTS, Invoice, Line
from .money import ZERO, cents_of, round_half_away, split_cents
from .quarters import SlotKey
from .rating import Usage

Groups = dict[tuple[SlotKey, GroupKey], tuple[Fraction, int]]
NO_GROUP: GroupKey = ("", "", "", Fraction(0))


def given_back(facts: Facts, chain: Chain) -> Fraction:
    """Overage that was credited back to this chain so far."""
    keys = {commit.key for commit in chain.commits}
    return sum(
        (credit.amount for credit in facts.credits if credit.given_back and credit.slot[0] in keys),
        ZERO,
    )


def standing_overage(facts: Facts, chain: Chain, quarters: list[Quarter]) -> Fraction:
    """Exact overage of the posted quarters + overage given back: what is to be billed in all."""
    return posted_overage(quarters) + given_back(facts, chain)


def to_give_back(facts: Facts, chain: Chain, quarters: list[Quarter]) -> Fraction:
    """Overage already invoiced that the chain takes back, exact.

    Late overage that waits for its invoice is reduced first; what rounding left when it was
    last billed stays where it is.
    """
    standing = standing_overage(facts, chain, quarters)
    return max(ZERO, chain.invoiced_overage - standing)


def posted_groups(quarters: list[Quarter], usage: Usage) -> Groups:
    """The groups of all posted quarters."""
    return {
        (quarter.slot.key, group): value
        for quarter in quarters
        if quarter.posted
        for group, value in usage.groups(quarter.slot.key).items()
    }


def overage_items(quarter: Quarter, usage: Usage) -> list[Unbilled]:
    """A quarter's overage, shared over its groups in proportion to their dollars."""
    if not quarter.overage:
        return []
    if not quarter.used:
        return [Unbilled("overage", quarter.slot.key, NO_GROUP, quarter.overage, ZERO)]
    part = quarter.overage / quarter.used
    return [
        Unbilled("overage", quarter.slot.key, group, amount * part, quantity * part)
        for group, (amount, quantity) in usage.groups(quarter.slot.key).items()
    ]


def late_items(
    chain: Chain, groups: Groups, amount: Fraction, closing: SlotKey | None
) -> list[Unbilled]:
    """Overage that late usage added to posted quarters, shared over the late usage."""
    if amount <= 0:
        return []
    late = []
    for key, (now, quantity) in groups.items():
        before, counted = chain.settled_groups.get(key, (ZERO, 0))
        if key[0] != closing and now > before:
            late.append((key, now - before, quantity - counted))
    whole = sum((added for _, added, _ in late), ZERO)
    if not whole:
        return [Unbilled("late_usage", (chain.commits[0].key, 1), NO_GROUP, amount, ZERO)]
    part = amount / whole
    return [
        Unbilled("late_usage", slot, group, added * part, quantity * part)
        for (slot, group), added, quantity in late
    ]


def usage_lines(chain: Chain, items: list[Unbilled], cents: int) -> list[Line]:
    """Split cents over items; ties by quarter, model, mode, meter, rate ascending."""
    order = {commit.key: place for place, commit in enumerate(chain.commits)}
    items = sorted(items, key=lambda one: (order[one.slot[0]], one.slot[1], *one.group, one.kind))
    if cents <= 0 or not items:
        return []
    shares = split_cents(cents, [one.amount for one in items])
    return [
        Line(
            one.kind,
            one.slot[0],
            one.slot[1],
            share,
            *one.group,
            quantity=round_half_away(one.quantity),
        )
        for one, share in zip(items, shares, strict=True)
        if share
    ]


def bill_usage(
    facts: Facts, chain: Chain, usage: Usage, quarters: list[Quarter], closing: Quarter | None
) -> tuple[list[Line], list[Unbilled]]:
    """The usage lines of an invoice, and the items they bill.

    Cents to bill = round(exact overage of posted quarters + given back) - cents billed.
    """
    standing = standing_overage(facts, chain, quarters)
    cents = cents_of(standing) - chain.billed_cents
    own = overage_items(closing, usage) if closing else []
    fresh = closing.overage if closing else ZERO
    late = late_items(
        chain,
        posted_groups(quarters, usage),
        standing - chain.settled_overage - fresh,
        closing.slot.key if closing else None,
    )
    items = [*chain.carried, *own, *late]
    return usage_lines(chain, items, cents), items


def issue(
    facts: Facts, chain: Chain, commit: str, occasion: str, lines: list[Line]
) -> Invoice | None:
    """Make an invoice of lines, unless they come to less than Stripe's minimum."""
    if sum(line.cents for line in lines) < STRIPE_MINIMUM_CENTS:
        return None
    customer = chain.commits[0].customer
    invoice = Invoice(
        len(facts.invoices) + 1, customer, commit, occasion, tuple(lines), state="draft"
    )
    facts.invoices.append(invoice)
    return invoice


def record_billing(
    facts: Facts,
    chain: Chain,
    usage: Usage,
    quarters: list[Quarter],
    items: list[Unbilled],
    billed: list[Line] | None,
) -> None:
    """Remember what a close has settled; `billed` is None where no invoice was made."""
    standing = standing_overage(facts, chain, quarters)
    chain.settled_overage = standing
    chain.settled_groups = posted_groups(quarters, usage)
    cents = sum(line.cents for line in billed or [] if line.for_usage)
    chain.billed_cents += cents
    if cents:
        chain.invoiced_overage = standing
    chain.carried = [] if billed is not None else items
