"""One story told twice: to the oracle and to the product, compared after every step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.oracle.happenings import (
    AddOverride,
    Advance,
    ApproveClose,
    ApproveTrueUp,
    Batch,
    Correct,
    Credit,
    Happening,
    Sign,
    TakeBack,
    Uncollectible,
    Use,
    Void,
    WriteOff,
)
from tests.oracle.rating import chain_slots
from tests.oracle.world import World
from tests.prove import figures, laws, previews
from tests.prove.dates import Dates
from tests.prove.product import Product

DAY = timedelta(days=1)
# They book usage themselves, before and after, or say what is booked.
APPROVALS = (
    AddOverride,
    ApproveClose,
    ApproveTrueUp,
    Correct,
    Credit,
    Sign,
    TakeBack,
    Uncollectible,
    WriteOff,
)


class DifferenceError(AssertionError):
    """The books and the oracle differ, or a law is broken."""

    def __init__(self, twin: Twin, found: list[str]) -> None:
        self.story, self.found = list(twin.story), found
        self.every_day, self.lazy = twin.every_day, twin.lazy
        twin.failed = self
        super().__init__("\n".join(found))


def midnights(after: datetime, until: datetime) -> Iterator[datetime]:
    """Every midnight UTC in `(after, until]`."""
    due = after.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    while due <= until:
        yield due
        due += DAY


@dataclass
class Twin:
    """Both sides of one contract.

    `every_day` runs the jobs of quiet days too. `lazy` leaves usage unbooked until the next job or
    `Advance`, as the service does; else it is booked after every step.
    """

    every_day: bool = False
    lazy: bool = False
    world: World = field(init=False)
    product: Product = field(default_factory=Product)
    story: list[Happening] = field(default_factory=list)
    now: datetime | None = None
    steps: int = 0
    dates: Dates = field(default_factory=Dates)
    failed: DifferenceError | None = None

    def __post_init__(self) -> None:
        self.world = World(daily_jobs=True, lazy=self.lazy)

    def apply(self, happening: Happening) -> str:
        """One step on both sides. Raises DifferenceError."""
        if self.lazy and isinstance(happening, APPROVALS) and self.now is not None:
            self._step(Advance(at=happening.at))
        self.story.append(happening)
        return self._step(happening)

    def _step(self, happening: Happening) -> str:
        try:
            answer = self.world.apply(happening)
            self._pass_time(happening.at)
            self._check_dates()
            got = self.product.apply(happening)
            self.dates.locked = set(self.world.facts.locked)
            booked = not self.lazy or isinstance(happening, Advance | ApproveClose | Correct)
            self.product.settle(happening.at, book=booked)
            self._check_dates()
        except DifferenceError:
            raise
        except Exception as error:
            raise DifferenceError(self, [f"{type(error).__name__}: {error}"]) from error
        self.now = happening.at
        self.steps += 1
        found = self._answers(happening, answer, got) or self.differences(booked=booked)
        if found:
            raise DifferenceError(self, [f"after {happening}", *found])
        return answer

    def _check_dates(self) -> None:
        found = self.dates.broken()
        if found:
            raise DifferenceError(self, found)

    def _answers(self, happening: Happening, right: str, got: str) -> list[str]:
        if isinstance(happening, Use | Void | Batch):
            same = sorted(right.split()) == got.split()
        else:
            same = (right == "ok") == (got == "ok")
        return [] if same else [f"answer: oracle {right}, books {got}"]

    def _pass_time(self, until: datetime) -> None:
        if self.now is None:
            return
        for due in midnights(self.now, until):
            if self.every_day or self._may_matter(due):
                self.product.run_jobs(due)
                self.product.settle(due)
                found = laws.broken_after_closes(due)
                if found:
                    raise DifferenceError(self, [f"after the jobs of {due}", *found])

    def _may_matter(self, due: datetime) -> bool:
        """Whether a day's jobs may do something: the first after a step, and around bounds."""
        assert self.now is not None
        if due - DAY <= self.now:
            return True
        for chain in self.world.facts.chains:
            for slot in chain_slots(self.world.facts, chain):
                closes = slot.end + slot.commit.grace
                if slot.start - 2 * DAY <= due <= slot.start + DAY:
                    return True
                if slot.end - 2 * DAY <= due <= slot.end + DAY or closes <= due < closes + DAY:
                    return True
        return False

    def differences(self, *, booked: bool = True) -> list[str]:
        """Every figure of both sides, and the laws. Accounts only where usage is booked."""
        world, product, now = self.world, self.product, self.now
        assert now is not None
        booked = booked and not product.unsettled()
        found = laws.broken_constraints()
        if self.steps % 4 == 0:
            previews.look_at_any_close(self.steps // 4)
        shown = [product.views(commit) for commit in product.commits]
        with world.as_if_booked():
            for commit, views in zip(product.commits, shown, strict=True):
                right = figures.oracle_quarters(world, commit)
                got = figures.product_quarters(commit, views)
                found += figures.differences(right, got, ahead=True)
            for customer in product.customers:
                found += figures.differences(
                    figures.oracle_balance(world, customer),
                    figures.product_balance(product, customer, now),
                )
        for customer in product.customers:
            found += figures.differences(
                figures.oracle_invoices(world, customer),
                figures.product_invoices(product, customer),
            )
            if booked:
                found += figures.differences(
                    figures.oracle_accounts(world, customer),
                    figures.product_accounts(product, customer),
                )
        for invoice in world.facts.invoices:
            name = f"invoice {invoice.commit} {invoice.occasion} r{invoice.revision}"
            if name in product.invoice_ids:
                product.invoices[invoice.number] = product.invoice_ids[name]
        return found + laws.broken_laws(product, shown, booked=booked)

    def finish(self) -> None:
        """The slow proofs, at the end of a contract."""
        found = laws.broken_proofs()
        if found:
            raise DifferenceError(self, found)


def tell(story: list[Happening], *, every_day: bool = False, lazy: bool = False) -> Twin:
    """A whole story, in a database transaction of the caller."""
    twin = Twin(every_day=every_day, lazy=lazy)
    for happening in story:
        twin.apply(happening)
    twin.finish()
    return twin
