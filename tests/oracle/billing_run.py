"""From exact dollars to invoices in cents: overage, late usage, instalments, true-ups."""

from fractions import Fraction

from .facts import Chain, Facts, GroupKey, Unbilled
from .fold import Quarter, posted_overage
from .invoices import STRIPE_MINIMUM_CENTS, Invoice, Line
from .money import CENT, ZERO, cents_of, round_half_away, split_cents
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


def to_give_back(chain: Chain, standing: Fraction) -> Fraction:
    """Overage already invoiced that the chain takes back: by how much it fell, exactly.

    What had not been billed yet and could still be, in whole cents, is simply billed no more; what
    rounding left stays where it is.
    """
    billable = max(0, cents_of(chain.standing_overage - chain.billed_cents * CENT)) * CENT
    return max(ZERO, chain.standing_overage - standing - billable)


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
    chain: Chain, groups: Groups, amount: Fraction, closing: SlotKey | None, fallback: SlotKey
) -> list[Unbilled]:
    """Overage that late usage added to posted quarters, shared over the late usage."""
    late = []
    for key, (now, quantity) in groups.items():
        before, counted = chain.settled_groups.get(key, (ZERO, 0))
        if key[0] != closing and now > before:
            late.append((key, now - before, quantity - counted))
    whole = sum((added for _, added, _ in late), ZERO)
    if not whole:
        return [Unbilled("late_usage", fallback, NO_GROUP, amount, ZERO)]
    part = amount / whole
    return [
        Unbilled("late_usage", slot, group, added * part, quantity * part)
        for (slot, group), added, quantity in late
    ]


def earlier_items(
    chain: Chain,
    groups: Groups,
    standing: Fraction,
    quarters: list[Quarter],
    closing: Quarter | None,
) -> list[Unbilled]:
    """What earlier quarters still owe: overage of their own closes, then late usage.

    Overage that the chain took back comes off what is carried. What rounding left is no item.
    """
    items = []
    late = standing - (closing.overage if closing else ZERO)
    late -= sum(chain.closed_overage.values(), ZERO)
    # What credit notes took back is no more billed than what was given back as balance.
    late -= (chain.late_billed_cents - chain.usage_refunded_cents) * CENT
    before = [one.slot.key for one in quarters if one.slot.key in chain.closed_overage]
    for key in before:
        owed = chain.closed_overage[key] - chain.own_billed_cents.get(key, 0) * CENT
        taken = min(max(ZERO, owed), max(ZERO, -late))
        late += taken
        if owed - taken >= CENT:
            items.append(Unbilled("overage", key, NO_GROUP, owed - taken, ZERO))
    if late >= CENT:
        items += late_items(chain, groups, late, closing.slot.key if closing else None, before[-1])
    return items


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
) -> list[Line]:
    """The usage lines of an invoice.

    Cents to bill = round(exact overage of posted quarters + given back) - cents billed.
    """
    standing = standing_overage(facts, chain, quarters)
    cents = cents_of(standing) - chain.billed_cents
    items = earlier_items(chain, posted_groups(quarters, usage), standing, quarters, closing)
    if closing:
        items += overage_items(closing, usage)
    if cents > 0 and not items:
        slot = closing.slot.key if closing else quarters[-1].slot.key
        items = [Unbilled("overage", slot, NO_GROUP, cents * CENT, ZERO)]
    return usage_lines(chain, items, cents)


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
    closing: Quarter | None,
    billed: list[Line] | None,
) -> None:
    """Remember what a close has settled; `billed` is None where it waits for more to be billed."""
    chain.standing_overage = standing_overage(facts, chain, quarters)
    groups = posted_groups(quarters, usage)
    if closing:
        chain.closed_overage[closing.slot.key] = closing.overage
        own = {key: value for key, value in groups.items() if key[0] == closing.slot.key}
        chain.settled_groups.update(own)
    if billed is None:
        return
    chain.settled_groups = groups
    for line in billed:
        slot = (line.commit, line.quarter)
        if line.kind == "overage":
            chain.own_billed_cents[slot] = chain.own_billed_cents.get(slot, 0) + line.cents
        elif line.kind == "late_usage":
            chain.late_billed_cents += line.cents
    chain.billed_cents += sum(line.cents for line in billed if line.for_usage)
