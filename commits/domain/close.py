"""The close of one quarter, as a pure function: inputs in, plan out.

The plan says what the quarter came to, what rolls over, what breaks, and what the invoice bills,
in cents:

    overage to bill = round(exact chain overage so far, with what was given back)
                      - overage cents already billed

The rounding is on the cumulative figure, so what it leaves behind is never more than half a cent
and is carried, not lost. The cents are split over the usage groups in proportion to their dollars
by largest remainder (ties: quarter, model, mode, meter, rate ascending).
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from billing.domain.money import (
    CENT,
    ZERO,
    cut,
    from_cents,
    round_half_away,
    split_by_largest_remainder,
    to_cents,
)
from commits.domain.chain import QuarterFigures, run_chain
from commits.domain.close_inputs import (
    BillKind,
    CloseInputs,
    EarlierQuarter,
    GrantToInvoice,
    UsageGroup,
    canonical,
    digest,
    inputs_from_json,
)

# A plan is read together with its inputs: whoever plans imports both from here.
__all__ = [
    "BillKind",
    "CloseInputs",
    "ClosePlan",
    "EarlierQuarter",
    "GrantToInvoice",
    "PlannedLine",
    "UsageGroup",
    "canonical",
    "digest",
    "give_back",
    "inputs_from_json",
    "plan_adjustment",
    "plan_close",
    "refundable_cents",
]


class PlannedLine(msgspec.Struct, frozen=True):
    """One invoice line in whole cents. `quantity` is for information: the amount decides."""

    kind: BillKind
    position: int
    cents: int
    ref: str = ""
    model: str = ""
    mode: str = ""
    meter: str = ""
    rate: Decimal | None = None
    quantity: int | None = None


class ClosePlan(msgspec.Struct, frozen=True):
    """What the close will do. Amounts in exact dollars, lines in cents.

    `lines` is empty where there is nothing to bill or less than Stripe's minimum. `residue` is
    what is left unbilled for good when the commit ends here (signed, dollars).
    """

    figures: QuarterFigures
    overage_cents: int
    lines: tuple[PlannedLine, ...]
    ends: bool
    residue: Decimal
    carried_cents: int

    @property
    def total_cents(self) -> int:
        return sum(line.cents for line in self.lines)

    @property
    def refund_cents(self) -> int:
        """What of the money left at the very end goes back to the customer."""
        return refundable_cents(self.figures.kept)


def refundable_cents(kept: Decimal) -> int:
    """Money left at the very end, cut down to the cent; what that leaves goes to rounding."""
    return int(cut(kept, CENT).scaleb(2))


def plan_close(inputs: CloseInputs) -> ClosePlan:
    """The plan of the last quarter of `inputs.quarters`. Pure: same inputs, same plan."""
    chain = run_chain(inputs.quarters)
    figures = chain[-1]
    ends = _ends(inputs, figures)
    overage_lines, unbilled = _overage_lines(inputs, chain)
    lines = [*_grant_lines(inputs), *overage_lines]
    total = sum(line.cents for line in lines)
    billed_overage = sum(line.cents for line in overage_lines)
    carried = 0
    if total < inputs.minimum_cents:
        lines, carried, billed_overage = [], total, 0
    return ClosePlan(
        figures=figures,
        overage_cents=billed_overage,
        lines=tuple(lines),
        ends=ends,
        residue=unbilled - from_cents(billed_overage) if ends else ZERO,
        carried_cents=carried,
    )


def _ends(inputs: CloseInputs, figures: QuarterFigures) -> bool:
    if inputs.continues is not None:
        return not inputs.continues
    return figures.rolled_out == 0


def _grant_lines(inputs: CloseInputs) -> list[PlannedLine]:
    """Instalments first, then true-ups, by quarter."""
    order = {BillKind.INSTALMENT: 0, BillKind.TRUE_UP: 1}
    grants = sorted(inputs.to_invoice, key=lambda g: (order[g.kind], g.position, g.ref))
    return [PlannedLine(g.kind, g.position, g.cents, ref=g.ref) for g in grants if g.cents]


def _overage_lines(
    inputs: CloseInputs, chain: Sequence[QuarterFigures]
) -> tuple[list[PlannedLine], Decimal]:
    """Lines for all overage not billed yet, and the exact unbilled overage that they are of."""
    closing = chain[-1]
    candidates, whole = _earlier_shares(
        inputs.earlier, sum((figures.overage for figures in chain[:-1]), ZERO)
    )
    if closing.overage > 0:
        groups = [(closing.index, group) for group in inputs.groups]
        candidates += _shares(BillKind.OVERAGE, closing.overage, groups, closing.index)
    whole += closing.overage
    return _split(whole, candidates, closing.index), whole


def plan_adjustment(
    *, earlier: Sequence[EarlierQuarter], overage: Decimal, minimum_cents: int
) -> tuple[PlannedLine, ...]:
    """The lines that settle what late usage adds when no quarter is open any more.

    `overage` is the exact overage of the whole chain, all of whose quarters are `earlier`. Nothing
    below the minimum: that stays in rounding.
    """
    candidates, whole = _earlier_shares(earlier, overage)
    lines = _split(whole, candidates, earlier[-1].position)
    return tuple(lines) if sum(line.cents for line in lines) >= minimum_cents else ()


def _earlier_shares(
    earlier: Sequence[EarlierQuarter], exact_so_far: Decimal
) -> tuple[list[tuple[PlannedLine, Decimal]], Decimal]:
    """What posted quarters, with that exact overage in all, still owe: shares, and their sum."""
    late = exact_so_far + sum(
        (q.given_back - q.closed_overage - from_cents(q.late_billed_cents) for q in earlier), ZERO
    )
    carried = {q.position: q.carried for q in earlier}
    whole = late + sum(carried.values(), ZERO)
    candidates: list[tuple[PlannedLine, Decimal]] = []
    for position, exact in sorted(carried.items()):
        # Overage that the chain takes back comes off what is still carried.
        taken = min(max(ZERO, exact), max(ZERO, -late))
        late += taken
        # What rounding left is carried by the books, not billed apart.
        if exact - taken >= CENT:
            line = PlannedLine(BillKind.OVERAGE, position, 0)
            candidates.append((line, exact - taken))
    if late >= CENT:
        candidates += _late_shares(late, earlier)
    return candidates, whole


def _split(
    whole: Decimal, candidates: list[tuple[PlannedLine, Decimal]], fallback: int
) -> list[PlannedLine]:
    """The cents of an exact amount over its shares; in one line where there are none."""
    cents = max(0, to_cents(whole))
    if cents and not candidates:
        candidates = [(PlannedLine(BillKind.OVERAGE, fallback, 0), whole)]
    parts = split_by_largest_remainder(cents, [weight for _, weight in candidates])
    return [
        msgspec.structs.replace(line, cents=part)
        for (line, _), part in zip(candidates, parts, strict=True)
        if part
    ]


def _late_shares(
    late: Decimal, earlier: Sequence[EarlierQuarter]
) -> list[tuple[PlannedLine, Decimal]]:
    """Late overage is billed over the late events, wherever in the chain it made the difference."""
    groups = [(q.position, group) for q in earlier for group in q.late_groups]
    return _shares(BillKind.LATE_USAGE, late, groups, earlier[-1].position)


def _shares(
    kind: BillKind,
    exact: Decimal,
    groups: Sequence[tuple[int, UsageGroup]],
    fallback: int,
) -> list[tuple[PlannedLine, Decimal]]:
    """`exact` dollars shared over (quarter, usage group) in proportion to their dollars.

    The quotients are kept to the hundred digits of the context, far below any cent. Without groups
    there is one line for the quarter `fallback`.
    """
    weighed = sorted((position, group) for position, group in groups if group.amount > 0)
    total = sum((group.amount for _, group in weighed), ZERO)
    if not weighed:
        return [(PlannedLine(kind, fallback, 0), exact)]
    shares = []
    for position, group in weighed:
        quantity = int(round_half_away(group.quantity * exact / total, Decimal(1)))
        line = PlannedLine(
            kind, position, 0, "", group.model, group.mode, group.meter, group.rate, quantity
        )
        shares.append((line, group.amount * exact / total))
    return shares


def give_back(*, reduction: Decimal, unbilled: Decimal) -> Decimal:
    """How much of a fall in posted overage goes back to the customer as balance.

    `reduction` is by how much the chain's overage of posted quarters fell; `unbilled` is the exact
    overage not yet invoiced before it fell. What could still be billed (in whole cents) is simply
    billed no more; the rest was invoiced and is given back, exactly.
    """
    if reduction <= 0:
        return ZERO
    billable = max(ZERO, round_half_away(unbilled, CENT))
    return max(ZERO, reduction - billable)
