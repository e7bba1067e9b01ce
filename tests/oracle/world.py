"""The oracle itself: apply happenings one after another, then read any figure."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from functools import singledispatchmethod

from . import events, given_up, notes, signing, trueups
from .balances import Balance, balance_at
from .billing_run import standing_overage, to_give_back
from .books import Balances, trial_balance
from .closing import Job, finalize_drafts, open_slot
from .facts import Facts, Granted
from .fold import Quarter, fold_chain
from .happenings import (
    AddOverride,
    AddPrice,
    AddPrivatePrice,
    Advance,
    ApproveClose,
    ApproveTrueUp,
    Batch,
    Close,
    Correct,
    Credit,
    Finalize,
    Happening,
    LockMonth,
    Pay,
    Reissue,
    RequestTrueUp,
    Sign,
    TakeBack,
    Tax,
    Uncollectible,
    UnlockMonth,
    Use,
    Void,
    VoidInvoice,
    Waive,
    WriteOff,
)
from .invoices import Invoice
from .rating import Usage, rate_all


class World:
    """All facts so far. `apply` answers with a word: "ok", "duplicate", "conflict", ...

    `issue_at_once`: invoices are finalized when made. `daily_jobs`: the jobs that fell due
    before a happening run first, as on a real clock; without it only `Close` and `Advance`
    run them. `job_time` is the UTC time of day of the job. `lazy`: overage is given back when
    usage is next booked (a job, `Advance`), net of all that arrived before, not at once.
    """

    def __init__(
        self,
        *,
        issue_at_once: bool = True,
        daily_jobs: bool = False,
        job_time: time = time(0),
        lazy: bool = False,
    ) -> None:
        self.facts = Facts()
        self.issue_at_once = issue_at_once
        self.daily_jobs = daily_jobs
        self.job_time = job_time
        self.lazy = lazy
        self.quiet = False

    def run(self, happenings: Iterable[Happening]) -> list[str]:
        """Apply happenings in the order of their arrival."""
        return [self.apply(one) for one in happenings]

    def apply(self, happening: Happening) -> str:
        """Apply one happening, then book what it changes about posted quarters."""
        before = self.facts.now
        if before is not None and happening.at < before:
            raise ValueError("happenings come in the order of their arrival")
        if self.daily_jobs and before is not None:
            self._run_jobs(before, happening.at)
        self.facts.now = happening.at
        answer = self._apply(happening, before or happening.at)
        self.quiet = self.quiet and isinstance(happening, Advance)
        booked = isinstance(happening, AddOverride | ApproveClose | Correct)
        if booked or isinstance(happening, Close | Advance) is self.lazy:
            self._give_back()
        if self.issue_at_once:
            finalize_drafts(self.facts)
        return answer

    def _run_jobs(self, after: datetime, until: datetime) -> None:
        """Run each day's job in `(after, until]`, each with its own due instant as now."""
        due = datetime.combine(after.astimezone(UTC).date(), self.job_time, tzinfo=UTC)
        while due <= until:
            if due > after:
                self.facts.now = due
                if not self.quiet or self._any_due(due):
                    self._give_back()
                    Job(self.facts, due).run()
                self.quiet = True
                if self.issue_at_once:
                    finalize_drafts(self.facts)
            due += timedelta(days=1)
        self.facts.now = until

    def _any_due(self, now: datetime) -> bool:
        """True where a job has work although nothing happened since the job before."""
        slots = [open_slot(self.facts, chain) for chain in self.facts.chains]
        return any(slot and slot.end + slot.commit.grace <= now for slot in slots)

    @contextmanager
    def as_if_booked(self) -> Iterator[None]:
        """What anyone is shown: with what the next booking will give back; nothing is kept."""
        facts = self.facts
        credits, count = list(facts.credits), facts.count
        standing = [(chain, chain.standing_overage) for chain in facts.chains]
        self._give_back()
        yield
        facts.credits, facts.count = credits, count
        for chain, before in standing:
            chain.standing_overage = before

    def _give_back(self) -> None:
        """Overage invoiced that the chain takes back becomes a credit in the open quarter."""
        for chain in self.facts.chains:
            slot = open_slot(self.facts, chain)
            if slot is None or not chain.posted:
                continue
            quarters = fold_chain(self.facts, chain, rate_all(self.facts))
            standing = standing_overage(self.facts, chain, quarters)
            amount = to_give_back(chain, standing)
            chain.standing_overage = standing + amount
            if amount:
                assert self.facts.now is not None
                self.facts.credits.append(
                    Granted(
                        slot.key, amount, None, True, True, self.facts.now, self.facts.next_number()
                    )
                )

    @singledispatchmethod
    def _apply(self, happening: Happening, before: datetime) -> str:
        raise TypeError(f"unknown happening {happening!r}")

    @_apply.register
    def _(self, happening: Close, before: datetime) -> str:
        Job(self.facts, happening.at).run()
        return "ok"

    @_apply.register
    def _(self, happening: ApproveClose, before: datetime) -> str:
        return Job(self.facts, happening.at).approve(happening)

    @_apply.register
    def _(self, happening: Advance, before: datetime) -> str:
        if not self.daily_jobs:
            self._run_jobs(before, happening.at)
        return "ok"

    @_apply.register(Sign)
    def _(self, happening: Sign, before: datetime) -> str:
        return signing.sign(self.facts, happening)

    @_apply.register(Use)
    @_apply.register(Void)
    def _(self, happening: Use | Void, before: datetime) -> str:
        return events.ingest(self.facts, (happening,))

    @_apply.register(Batch)
    def _(self, happening: Batch, before: datetime) -> str:
        return events.ingest(self.facts, happening.events)

    @_apply.register
    def _(self, happening: Correct, before: datetime) -> str:
        return events.correct(self.facts, happening)

    @_apply.register(Waive)
    def _(self, happening: Waive, before: datetime) -> str:
        return events.waive(self.facts, happening)

    @_apply.register(AddPrice)
    @_apply.register(AddOverride)
    @_apply.register(AddPrivatePrice)
    def _(self, happening: AddPrice | AddOverride | AddPrivatePrice, before: datetime) -> str:
        return events.add_price(self.facts, happening)

    @_apply.register(RequestTrueUp)
    def _(self, happening: RequestTrueUp, before: datetime) -> str:
        return trueups.request(self.facts, happening)

    @_apply.register(ApproveTrueUp)
    def _(self, happening: ApproveTrueUp, before: datetime) -> str:
        return trueups.approve(self.facts, happening)

    @_apply.register(Credit)
    def _(self, happening: Credit, before: datetime) -> str:
        return trueups.credit(self.facts, happening)

    @_apply.register
    def _(self, happening: TakeBack, before: datetime) -> str:
        return notes.take_back(self.facts, happening)

    @_apply.register
    def _(self, happening: Uncollectible, before: datetime) -> str:
        return given_up.uncollectible(self.facts, happening)

    @_apply.register
    def _(self, happening: WriteOff, before: datetime) -> str:
        return given_up.write_off(self.facts, happening)

    @_apply.register
    def _(self, happening: LockMonth, before: datetime) -> str:
        if happening.month >= happening.at.astimezone(UTC).date().replace(day=1):
            return "refused"
        self.facts.locked.add(happening.month)
        return "ok"

    @_apply.register
    def _(self, happening: UnlockMonth, before: datetime) -> str:
        if happening.month not in self.facts.locked:
            return "refused"
        self.facts.locked.remove(happening.month)
        return "ok"

    @_apply.register
    def _(self, happening: Tax, before: datetime) -> str:
        self.facts.tax = happening.share
        return "ok"

    @_apply.register(Finalize)
    @_apply.register(Pay)
    @_apply.register(VoidInvoice)
    @_apply.register(Reissue)
    def _(self, happening: Finalize | Pay | VoidInvoice | Reissue, before: datetime) -> str:
        return signing.move_invoice(self.facts, happening)

    def usage(self) -> Usage:
        """All usage, rated and unrated."""
        return rate_all(self.facts)

    def quarters(self, commit: str) -> list[Quarter]:
        """Every quarter of a commit with all its figures."""
        chain = self.facts.chain_of(commit)
        return [
            one
            for one in fold_chain(self.facts, chain, rate_all(self.facts))
            if one.slot.commit.key == commit
        ]

    def quarter(self, commit: str, index: int) -> Quarter:
        """One quarter, counted from 1."""
        return self.quarters(commit)[index - 1]

    def invoices(self, customer: str) -> list[Invoice]:
        """The invoices of a customer in the order of their making."""
        return [one for one in self.facts.invoices if one.customer == customer]

    def trial_balance(self, customer: str | None = None) -> Balances:
        """All ledger accounts that are not zero, debit positive."""
        return trial_balance(self.facts, rate_all(self.facts), customer)

    def balance(self, customer: str, at: datetime | None = None) -> Balance | None:
        """What the balance shows at an instant (default: now)."""
        instant = at or self.facts.now
        return balance_at(self.facts, customer, instant) if instant else None
