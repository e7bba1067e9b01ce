"""One story told twice: to the oracle and to the product, compared after every step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.oracle.happenings import (
    Advance,
    Batch,
    Happening,
    Pay,
    Reissue,
    Use,
    Void,
    VoidInvoice,
)
from tests.oracle.rating import chain_slots
from tests.oracle.world import World
from tests.prove import figures, laws
from tests.prove.product import Product

DAY = timedelta(days=1)
QUIET = (Advance, Pay, VoidInvoice, Reissue)  # change no usage and no money of a commit


class DifferenceError(AssertionError):
    """The books and the oracle differ, or a law is broken."""

    def __init__(self, story: list[Happening], found: list[str]) -> None:
        self.story, self.found = story, found
        super().__init__("\n".join(found))


def midnights(after: datetime, until: datetime) -> Iterator[datetime]:
    """Every midnight UTC in `(after, until]`."""
    due = after.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    while due <= until:
        yield due
        due += DAY


@dataclass
class Twin:
    """Both sides of one contract. `every_day` runs the jobs of quiet days too."""

    every_day: bool = False
    world: World = field(default_factory=lambda: World(daily_jobs=True))
    product: Product = field(default_factory=Product)
    story: list[Happening] = field(default_factory=list)
    now: datetime | None = None
    steps: int = 0

    @property
    def not_built(self) -> str:
        """What of the oracle's state the product has no service for yet: then comparing stops."""
        for chain in self.world.facts.chains:
            if any(chain.refunded.values()) or chain.usage_refunded_cents:
                return "refund"
            if chain.ended and not isinstance(self.story[-1], QUIET):
                return "after the end"
        if any(one.occasion == "adjustment" for one in self.world.facts.invoices):
            return "adjustment"
        return ""

    def apply(self, happening: Happening) -> str:
        """One step on both sides. Raises DifferenceError."""
        self.story.append(happening)
        try:
            answer = self.world.apply(happening)
            if self.not_built:
                return answer
            self._pass_time(happening.at)
            got = self.product.apply(happening)
            self.product.settle(happening.at)
        except DifferenceError:
            raise
        except Exception as error:
            raise DifferenceError(self.story, [f"{type(error).__name__}: {error}"]) from error
        self.now = happening.at
        self.steps += 1
        found = self._answers(happening, answer, got) + self.differences()
        if found:
            raise DifferenceError(self.story, [f"after {happening}", *found])
        return answer

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

    def differences(self) -> list[str]:
        """Every figure of both sides, and the laws."""
        world, product, now = self.world, self.product, self.now
        assert now is not None
        found = laws.broken_constraints()
        for commit in product.commits:
            found += figures.differences(
                figures.oracle_quarters(world, commit),
                figures.product_quarters(product, commit),
                ahead=True,
            )
        for customer in product.customers:
            found += figures.differences(
                figures.oracle_invoices(world, customer),
                figures.product_invoices(product, customer),
            )
            found += figures.differences(
                figures.oracle_accounts(world, customer),
                figures.product_accounts(product, customer),
            )
            found += figures.differences(
                figures.oracle_balance(world, customer),
                figures.product_balance(product, customer, now),
            )
        for invoice in world.facts.invoices:
            name = f"invoice {invoice.commit} {invoice.occasion} r{invoice.revision}"
            if name in product.invoice_ids:
                product.invoices[invoice.number] = product.invoice_ids[name]
        return found + laws.broken_laws(product)

    def finish(self) -> None:
        """The slow proofs, at the end of a contract."""
        found = laws.broken_proofs()
        if found:
            raise DifferenceError(self.story, found)


def tell(story: list[Happening], *, every_day: bool = False) -> Twin:
    """A whole story, in a database transaction of the caller."""
    twin = Twin(every_day=every_day)
    for happening in story:
        twin.apply(happening)
        if twin.not_built:
            break
    twin.finish()
    return twin
