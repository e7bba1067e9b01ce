"""The daily job: closes in order, the end of a commit, and what is settled after it."""

from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime

from . import billing_run
from .events import ingest
from .facts import Chain, Facts
from .fold import Quarter, fold_chain, instalment_source, true_up_source
from .happenings import ApproveClose
from .invoices import Invoice, Line
from .money import CENT, cents_of, whole_cents_below
from .notes import credit
from .quarters import Slot
from .rating import Usage, chain_slots, rate_all

UNLIMITED = 10**12


@dataclass
class Job:
    """One run of the daily job at its own instant."""

    facts: Facts
    now: datetime

    def run(self) -> None:
        """Close every quarter that is due, then settle what ended chains still owe."""
        for chain in list(self.facts.chains):
            while self._close_next(chain):
                pass
            if chain.posted:
                self._refund(chain, rate_all(self.facts))
            if chain.ended:
                self._settle_ended(chain)
                self._round_off(chain)

    def _close_next(self, chain: Chain) -> bool:
        """Close the open quarter once its end and grace have passed and nothing blocks it."""
        slot = self._due(chain)
        if slot is None or self._needs_human(chain, slot):
            return False
        self._close(chain, slot, rate_all(self.facts))
        return True

    def _due(self, chain: Chain) -> Slot | None:
        """The open quarter, where it may close as far as time and unrated usage go."""
        slot = open_slot(self.facts, chain)
        if slot is None or slot.end + slot.commit.grace > self.now:
            return None
        return None if rate_all(self.facts).blocks(slot.key) else slot

    def _needs_human(self, chain: Chain, slot: Slot) -> bool:
        """Whether its overage, or the overage that its invoice bills, is above the limit."""
        limit = slot.commit.max_overage
        if limit is None:
            return True
        if limit >= UNLIMITED:
            return False
        trial = deepcopy(self.facts)
        same = trial.chain_of(slot.commit.key)
        made = len(trial.invoices)
        Job(trial, self.now)._close(same, slot, rate_all(trial))
        billed = sum(
            line.cents for one in trial.invoices[made:] for line in one.lines if line.for_usage
        )
        return max(same.closed_overage[slot.key], billed * CENT) > limit

    def _close(self, chain: Chain, slot: Slot, usage: Usage) -> None:
        """Post and invoice a quarter, by the usage that its approval has frozen."""
        chain.posted.add(slot.key)
        self._end_if_over(chain, slot, usage)
        self._refund(chain, usage)
        self._invoice_close(chain, slot, usage)

    def approve(self, happening: ApproveClose) -> str:
        """A human lets a close pass, whatever its overage; what arrives then is late."""
        facts = self.facts
        try:
            chain = facts.chain_of(happening.commit)
        except LookupError:
            return "refused"
        slot = self._due(chain)
        if slot is None or slot.key != (happening.commit, happening.quarter):
            return "refused"
        frozen = rate_all(facts)
        ingest(facts, happening.meanwhile)
        self._close(chain, slot, frozen)
        if chain.ended:
            self._round_off(chain)
        return "ok"

    def _end_if_over(self, chain: Chain, slot: Slot, usage: Usage) -> None:
        """The tail ends with its last quarter, or the first that rolls nothing out."""
        successor = slot.commit is not chain.commits[-1]
        quarter = _quarter(fold_chain(self.facts, chain, usage), slot)
        coming = later_credits(self.facts, chain, slot.end)
        empty = slot.in_tail and not successor and quarter.rolled_out == 0 and not coming
        if slot.last or empty:
            chain.ended = slot.key

    def _refund(self, chain: Chain, usage: Usage) -> None:
        """Refund what is left of paid money by credit notes, cut down to the cent.

        Overage given back comes off usage lines of live invoices, the rest off the others.
        """
        for quarter in fold_chain(self.facts, chain, usage):
            if not quarter.posted:
                continue
            cents = whole_cents_below(quarter.refundable)
            back = min(cents, whole_cents_below(quarter.given_back_left))
            sent = credit(self.facts, chain, back, usage=True)
            sent += credit(self.facts, chain, cents - back, usage=False)
            key = quarter.slot.key
            chain.refunded[key] = chain.refunded.get(key, 0) + sent

    def _invoice_close(self, chain: Chain, slot: Slot, usage: Usage) -> None:
        """Next instalment + overage + true-ups in arrears + late usage, on one invoice."""
        facts = self.facts
        quarters = fold_chain(facts, chain, usage)
        closing = _quarter(quarters, slot)
        chain.waiting += instalment_lines(chain, quarters, slot.commit.key, slot.index + 1)
        chain.waiting += true_up_lines(facts, slot)
        lines = billing_run.bill_usage(facts, chain, usage, quarters, closing)
        own = [line for line in chain.waiting if line.commit == slot.commit.key]
        lines = [*own, *lines]
        invoice = billing_run.issue(facts, chain, slot.commit.key, f"close {slot.index}", lines)
        if invoice or self._commit_is_over(chain, slot):
            chain.waiting = [line for line in chain.waiting if line not in own]
        if not invoice and self._commit_is_over(chain, slot):
            chain.never_billed += own
        billed = lines if invoice or not lines else None
        billing_run.record_billing(facts, chain, usage, quarters, closing, billed)

    def _commit_is_over(self, chain: Chain, slot: Slot) -> bool:
        """True where a successor follows, or nothing."""
        slots = chain_slots(self.facts, chain)
        later = slots[slots.index(slot) + 1 :]
        return chain.ended == slot.key or bool(later and later[0].commit is not slot.commit)

    def _settle_ended(self, chain: Chain) -> None:
        """After the end: differences become an adjustment invoice or a credit note."""
        facts, usage = self.facts, rate_all(self.facts)
        quarters = fold_chain(facts, chain, usage)
        lines = billing_run.bill_usage(facts, chain, usage, quarters, None)
        last = chain.commits[-1].key
        made = [one for one in facts.invoices if one.commit == last and one.revision == 1]
        number = 1 + sum(one.occasion.startswith("adjustment") for one in made)
        invoice = billing_run.issue(facts, chain, last, f"adjustment {number}", lines)
        if invoice:
            billing_run.record_billing(facts, chain, usage, quarters, None, lines)
            return
        standing = billing_run.standing_overage(facts, chain, quarters)
        over = chain.billed_cents - cents_of(standing)
        if over > 0:
            sent = credit(facts, chain, over, usage=True)
            chain.billed_cents -= sent
            chain.usage_refunded_cents += sent
            billing_run.record_billing(facts, chain, usage, quarters, None, [])

    def _round_off(self, chain: Chain) -> None:
        round_off(self.facts, chain)


def round_off(facts: Facts, chain: Chain) -> None:
    """What no invoice bills of an ended chain goes to rounding, made anew each time.

    Whole cents that only void invoices have billed and that are not owed any more stay.
    """
    quarters = fold_chain(facts, chain, rate_all(facts))
    standing = billing_run.standing_overage(facts, chain, quarters)
    stuck = max(0, chain.billed_cents - cents_of(standing))
    chain.rounded_off = standing - (chain.billed_cents - stuck) * CENT


def open_slot(facts: Facts, chain: Chain) -> Slot | None:
    """The earliest quarter of a chain that is not posted yet."""
    for slot in chain_slots(facts, chain):
        if slot.key not in chain.posted:
            return slot
    return None


def later_credits(facts: Facts, chain: Chain, start: datetime) -> bool:
    """Whether credits were granted in quarters of a chain from an instant on."""
    later = {slot.key for slot in chain_slots(facts, chain) if slot.start >= start}
    return any(credit.slot in later for credit in facts.credits)


def _quarter(quarters: list[Quarter], slot: Slot) -> Quarter:
    return next(one for one in quarters if one.slot.key == slot.key)


def instalment_lines(chain: Chain, quarters: list[Quarter], commit: str, index: int) -> list[Line]:
    """The instalment of a quarter, once; nothing for a quarter without one."""
    if (commit, index) in chain.instalments_billed:
        return []
    for quarter in quarters:
        if quarter.slot.key == (commit, index) and quarter.slot.in_term:
            chain.instalments_billed.add(quarter.slot.key)
            amount = sum(one.amount for one in quarter.grants if one.kind == "instalment")
            source = instalment_source(quarter.slot.key)
            cents = int(amount * 100)
            return [Line("instalment", commit, index, cents, source=source)] if cents else []
    return []


def true_up_lines(facts: Facts, slot: Slot) -> list[Line]:
    """True-ups of this quarter that were granted at once and not billed at approval."""
    return [
        Line(
            "true_up",
            slot.commit.key,
            slot.index,
            int(approved.request.amount * 100),
            source=true_up_source(approved, slot.index),
        )
        for approved in facts.approved.values()
        if approved.request.commit == slot.commit.key
        and slot.index in approved.granted
        and not approved.request.bill_now
    ]


def finalize_drafts(facts: Facts) -> None:
    """Issue all drafts."""
    for invoice in facts.invoices:
        if invoice.state == "draft":
            finalize(facts, invoice)


def finalize(facts: Facts, invoice: Invoice) -> None:
    """Stripe issues it, with tax on top."""
    invoice.state = "finalized"
    invoice.tax_cents = int(invoice.total_cents * facts.tax)
