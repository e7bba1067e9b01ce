"""The chain of quarters: one pure fold from the first quarter to the last, as if in time."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from fractions import Fraction

from .draw import Drawn, Grant, draw_down
from .facts import Approved, Chain, Facts
from .money import CENT, ZERO
from .quarters import Slot, SlotKey, boundary
from .rating import Usage, chain_slots
from .rollover import Settled, rolled_in, settle


@dataclass(frozen=True)
class Quarter:
    """Every figure of one quarter. Grants stand in draw order."""

    slot: Slot
    posted: bool
    used: Fraction
    overage: Fraction
    settled: tuple[Settled, ...]

    def _sum(self, amounts: list[Fraction]) -> Fraction:
        return sum(amounts, ZERO)

    @property
    def grants(self) -> list[Grant]:
        """The grants, in draw order."""
        return [one.drawn.grant for one in self.settled]

    @property
    def granted(self) -> Fraction:
        """Everything drawable in the quarter, rolled in included."""
        return self._sum([grant.amount for grant in self.grants])

    @property
    def rolled_in(self) -> Fraction:
        """What came from the quarter before."""
        return self._sum([one.amount for one in self.grants if one.kind == "rollover"])

    @property
    def paid(self) -> Fraction:
        """Instalment and true-ups: what is invoiced for the quarter."""
        return self._sum(
            [one.amount for one in self.grants if one.kind in ("instalment", "true_up")]
        )

    @property
    def drawn(self) -> Fraction:
        """Used and not overage."""
        return self.used - self.overage

    @property
    def left(self) -> Fraction:
        """What usage and refunds have left of the grants."""
        return self._sum([one.drawn.left for one in self.settled])

    @property
    def rolled_out(self) -> Fraction:
        """What moves to the next quarter."""
        return self._sum([one.rolled for one in self.settled])

    @property
    def breakage(self) -> Fraction:
        """Paid money that expired."""
        return self._sum([one.lapsed for one in self.settled if one.drawn.grant.origin != "credit"])

    @property
    def credits_expired(self) -> Fraction:
        """Credits that expired: no revenue."""
        return self._sum([one.lapsed for one in self.settled if one.drawn.grant.origin == "credit"])

    @property
    def refundable(self) -> Fraction:
        """Left at the end and not refunded yet; under a cent it goes to rounding."""
        return self._sum([one.refundable for one in self.settled])

    @property
    def given_back_left(self) -> Fraction:
        """The part of it that is overage given back."""
        return self._sum(
            [one.refundable for one in self.settled if one.drawn.grant.origin == "given_back"]
        )


def own_grants(facts: Facts, slot: Slot) -> list[Grant]:
    """The grants of a quarter without what rolls in.

    A true-up of a quarter whose instalment was invoiced is a grant of its own, otherwise the
    instalment grows.
    """
    found: list[Grant] = []
    instalment = slot.commit.instalments[slot.index - 1] if slot.in_term else ZERO
    for approved in facts.approved.values():
        if approved.request.commit != slot.commit.key:
            continue
        if not approved.from_quarter <= slot.index <= approved.through_quarter:
            continue
        if slot.index in approved.granted:
            found.append(
                Grant(
                    "true_up",
                    approved.request.amount,
                    "paid",
                    slot.end,
                    created_at=approved.approved_at,
                    number=approved.number,
                    source=true_up_source(approved, slot.index),
                )
            )
        else:
            instalment += approved.request.amount
    if instalment:
        found.append(
            Grant("instalment", instalment, "paid", slot.end, source=instalment_source(slot.key))
        )
    for credit in facts.credits:
        if credit.slot == slot.key:
            # Judged by the quarter as it was when the credit was granted; a cut comes later.
            whole_end = boundary(slot.commit, slot.index + 1)
            early = credit.expires_at is not None and credit.expires_at < whole_end
            expires = credit.expires_at if early and credit.expires_at else slot.end
            found.append(
                Grant(
                    "credit",
                    credit.amount,
                    "given_back" if credit.given_back else "credit",
                    expires,
                    rolls_over=credit.rolls_over and not early,
                    created_at=credit.created_at,
                    number=credit.number,
                )
            )
    return found


def instalment_source(slot: SlotKey) -> str:
    """The name of the instalment of a quarter, as invoice lines know it."""
    return f"instalment {slot[0]} Q{slot[1]}"


def true_up_source(approved: Approved, index: int) -> str:
    """The name of a true-up's grant of one quarter, as invoice lines know it."""
    return f"true-up {approved.request.key} Q{index}"


def fold_chain(
    facts: Facts, chain: Chain, usage: Usage, posted: Collection[SlotKey] | None = None
) -> list[Quarter]:
    """Compute every quarter from the start; only posted quarters have rolled.

    `posted` may pretend that more quarters are closed than are.
    """
    closed = chain.posted if posted is None else posted
    quarters: list[Quarter] = []
    coming: list[Grant] = []
    for slot in chain_slots(facts, chain):
        grants = [_in_slot(grant, slot) for grant in coming] + own_grants(facts, slot)
        timed = [(one.occurred_at, one.amount) for one in usage.of(slot.key)]
        refunded = chain.refunded.get(slot.key, 0) * CENT
        drawn, overage = draw_down(grants, timed, refunded)
        is_posted = slot.key in closed
        settled = [_untouched(one) for one in drawn]
        if is_posted:
            follows = not slot.last and chain.ended != slot.key
            settled = settle(drawn, slot.commit.rollover, slot.leftover, follows)
        coming = rolled_in(settled, slot.end)
        used = sum((amount for _, amount in timed), ZERO)
        quarters.append(Quarter(slot, is_posted, used, overage, tuple(settled)))
    return quarters


def _in_slot(grant: Grant, slot: Slot) -> Grant:
    """A rollover lives to the end of the quarter that it rolls into."""
    return replace(grant, expires_at=slot.end)


def _untouched(drawn: Drawn) -> Settled:
    """A grant of a quarter that is not closed."""
    return Settled(drawn, ZERO, ZERO, ZERO)


def posted_overage(quarters: list[Quarter]) -> Fraction:
    """The exact overage of the posted quarters of a chain."""
    return sum((quarter.overage for quarter in quarters if quarter.posted), ZERO)
