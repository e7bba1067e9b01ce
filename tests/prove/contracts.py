"""Random contracts and price books, for hypothesis. Whole cents, exact decimals."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

from hypothesis import strategies as st

from tests.oracle.quarters import boundary
from tests.oracle.terms import Commit, Price, Rollover

CUSTOMERS = ("acme", "bolt")
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)

# (model, mode, meter): what a story may use. Some are only filled from others, some have no price.
PRICED: tuple[tuple[str, str, str, str], ...] = (
    ("llama", "serverless", "input_tokens", "0.5"),
    ("llama", "serverless", "output_tokens", "1.1"),
    ("llama", "serverless", "cached_input_tokens", "0.333333"),
    ("qwen", "serverless", "input_tokens", "0.07"),
    ("qwen", "serverless", "output_tokens", "0.000013"),
    ("qwen", "batch", "output_tokens", "0.29"),
    ("h100", "dedicated", "gpu_seconds", "2.99"),
    ("flux", "serverless", "images", "0.04"),
)
# What is used: model, mode, meters, and how many units make about a dollar.
USES: tuple[tuple[str, str, tuple[str, ...], int], ...] = (
    ("llama", "serverless", ("input_tokens", "cached_input_tokens", "output_tokens"), 2_000_000),
    ("llama", "batch", ("input_tokens", "output_tokens"), 3_000_000),
    ("llama", "dedicated_serverless", ("input_tokens",), 2_000_000),
    ("qwen", "serverless", ("input_tokens", "output_tokens"), 14_000_000),
    ("qwen", "batch", ("output_tokens", "cached_input_tokens"), 4_000_000),
    ("h100", "dedicated", ("gpu_seconds",), 1_200),
    ("flux", "serverless", ("images",), 25),
)
UNPRICED = ("new", "serverless", ("input_tokens",), 1_000_000)
TUNED = ("tuned", "serverless", ("input_tokens", "cached_input_tokens"), 1_000_000)
ZONES = ("UTC", "UTC", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe",
         "America/St_Johns", "Pacific/Apia", "America/Santiago")  # fmt: skip
START_DAYS = (date(2024, 2, 29), date(2023, 11, 29), date(2023, 11, 30), date(2025, 12, 31),
              date(2026, 1, 1), date(2025, 8, 31))  # fmt: skip


def hour_of(instant: datetime) -> datetime:
    """The whole UTC hour at or before an instant."""
    return instant.replace(minute=0, second=0, microsecond=0)


def opening_book() -> list[Price]:
    """The list prices that are known from the beginning."""
    return [
        Price(model=model, mode=mode, meter=meter, price=Fraction(price), effective_at=EPOCH)
        for model, mode, meter, price in PRICED
    ]


cents = st.one_of(
    st.integers(100, 900), st.sampled_from([0, 0, 30, 1000, 5000, 3333]), st.integers(100, 50_000)
).map(lambda amount: Fraction(amount, 100))
discounts = st.sampled_from(["0", "0.2", "0.2", "0.125", "0.33333333"]).map(Fraction)
starts = st.one_of(st.sampled_from(START_DAYS), st.dates(date(2023, 6, 1), date(2026, 12, 31)))
rollovers = st.one_of(
    st.just(Rollover()),
    st.builds(
        Rollover,
        fraction=st.sampled_from(["1", "0.5", "0.33333333", "0"]).map(Fraction),
        cap=st.sampled_from([None, None, Fraction(7), Fraction(0), Fraction(123, 100)]),
        max_times=st.sampled_from([None, None, 0, 1, 2]),
    ),
)
ends = st.sampled_from(
    [("tail", None), ("tail", None), ("tail", 1), ("tail", 2), ("expire", None), ("expire", 1),
     ("expire", 2), ("refund", None), ("refund", None), ("refund", 1), ("renewal", None)]
)  # fmt: skip


# Above which overage a close needs a human; None: every close does.
limits = st.sampled_from([Fraction(10**12)] * 4 + [Fraction(0), Fraction(3), None])


@st.composite
def signed_commits(draw: st.DrawFn) -> Commit:
    """A signed commit of one to four quarters."""
    quarters = draw(st.sampled_from([1, 2, 2, 3, 4]))
    amounts = draw(
        st.one_of(
            cents.map(lambda amount: (amount,) * quarters),
            st.lists(cents, min_size=quarters, max_size=quarters).map(tuple),
        )
    )
    plain = draw(st.booleans())
    end, more = ("tail", None) if plain else draw(ends)
    commit = Commit(
        key="A",
        customer=CUSTOMERS[0],
        starts_on=draw(starts),
        quarters=quarters,
        instalments=amounts,
        discount=draw(discounts),
        zone=draw(st.sampled_from(ZONES)),
        grace=timedelta(hours=draw(st.sampled_from([72, 72, 72, 0, 1, 24 * 45]))),
        rollover=Rollover() if plain else draw(rollovers),
        end=end,  # type: ignore[arg-type]
        end_quarters=more,
        price_protection=draw(st.sampled_from([True, True, False])),
        max_overage=draw(limits),
    )
    return draw(with_overrides(commit))


def with_overrides(commit: Commit) -> st.SearchStrategy[Commit]:
    """Perhaps with a price of its own, from its start or later."""
    from dataclasses import replace

    start = boundary(commit, 1)
    overrides = st.lists(
        st.builds(
            lambda key, price, hours: Price(
                model=key[0], mode=key[1], meter=key[2], price=price,
                effective_at=start if not hours else hour_of(start) + hours * HOUR,
            ),
            st.sampled_from(PRICED).map(lambda row: row[:3]),
            prices,
            st.sampled_from([0, 0, 1, 24 * 40]),
        ),
        max_size=1,
    )  # fmt: skip
    return overrides.map(lambda rows: replace(commit, overrides=tuple(rows)))


prices = st.sampled_from(["0.6", "0.01", "1.234567891", "0", "2.5", "0.000001"]).map(Fraction)


@st.composite
def uncommitted_terms(draw: st.DrawFn) -> Commit:
    """A customer without a promise, billed in arrears at list price."""
    return Commit(
        key="U",
        customer=CUSTOMERS[0],
        starts_on=draw(starts),
        quarters=None,
        zone=draw(st.sampled_from(ZONES)),
        grace=timedelta(hours=draw(st.sampled_from([72, 0, 24 * 10]))),
        price_protection=draw(st.booleans()),
        period_months=draw(st.sampled_from([1, 3])),
        max_overage=draw(limits),
    )
