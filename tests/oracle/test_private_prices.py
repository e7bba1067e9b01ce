"""A private price is a list price that one customer alone sees, from its own instant on."""

from fractions import Fraction

from .cast import at, price, small, spend, tell
from .happenings import AddPrice, AddPrivatePrice, Happening
from .prices import book_of, list_price, quoted
from .world import World

BOOK = [
    price("a", "serverless", "input_tokens", "2"),
    price("a", "serverless", "input_tokens", "1", "2026-03-01"),
]
OWN = [price("a", "serverless", "input_tokens", "3", "2026-02-01")]
SEEN = book_of(BOOK, OWN)


def test_it_stands_in_for_everybodys_for_good() -> None:
    """A later list price of the same key is not the customer's."""
    key = ("a", "serverless", "input_tokens")
    prices = [quoted(SEEN, *key, at(when)) for when in ("2026-01-31", "2026-02-01", "2026-03-02")]
    assert prices == [2, 3, 3]
    assert quoted(BOOK, *key, at("2026-03-02")) == 1


def test_modes_are_filled_from_it() -> None:
    """As from any list price."""
    assert list_price(SEEN, "a", "batch", "input_tokens", at("2026-02-02")) == Fraction(3, 2)
    assert list_price(SEEN, "a", "serverless", "cached_input_tokens", at("2026-02-02")) == 3


def private(when: str, amount: str, since: str, model: str = "tuned") -> AddPrivatePrice:
    """An approved one."""
    added = price(model, "serverless", "units", amount, since)
    return AddPrivatePrice(at=at(when), customer="acme", price=added)


def used(*told: Happening) -> World:
    """Two times a million units of a model of one's own."""
    return tell(
        small(),
        *told,
        spend("2026-02-02", "1", "x", model="tuned", arrives="2026-02-20"),
        spend("2026-02-12", "1", "y", model="tuned", arrives="2026-02-20"),
        until="2026-02-21",
    )


def test_it_is_discounted_and_protected_at_its_first_appearance() -> None:
    """Dearer from the 10th on, but it first appeared at the lower price."""
    first = private("2026-01-10", "0.0000025", "2026-02-01")
    world = used(first, private("2026-01-11", "0.000005", "2026-02-10"))
    assert world.quarter("A", 1).used == 4


def test_it_changes_no_rated_amount_and_prices_what_waited() -> None:
    """Others' usage does not matter to it, nor theirs to it."""
    world = used(private("2026-01-10", "0.0000025", "2026-02-10"))
    assert world.quarter("A", 1).used == 2
    assert world.apply(private("2026-02-22", "0", "2026-02-11")) == "price_in_force"
    assert world.apply(private("2026-02-22", "0.0000025", "2026-02-01")) == "ok"
    assert world.quarter("A", 1).used == 4
    listed = price("tuned", "serverless", "units", "9", "2026-02-10")
    assert world.apply(AddPrice(at=at("2026-02-23"), price=listed)) == "ok"
    assert world.quarter("A", 1).used == 4
