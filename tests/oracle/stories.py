"""Contracts and stories of a year for hypothesis: usage, voids, credits and true-ups."""

from datetime import timedelta
from fractions import Fraction

from hypothesis import strategies as st

from .cast import at, small
from .happenings import ApproveTrueUp, Credit, Happening, RequestTrueUp, Use, Void
from .terms import Rollover

START, YEAR_END = at("2026-01-01"), at("2026-12-20")
moments = st.integers(0, 340 * 24).map(lambda hours: START + timedelta(hours=hours))
delays = st.sampled_from([0, 0, 1, 30, 60, 100, 200]).map(lambda days: timedelta(days=days))
rollovers = st.builds(
    Rollover,
    fraction=st.sampled_from([Fraction(1), Fraction(1, 3), Fraction(0)]),
    cap=st.sampled_from([None, None, Fraction(7), Fraction(0)]),
    max_times=st.sampled_from([None, None, 0, 1, 2]),
)
commits = st.builds(
    lambda rollover, end, more: small("10", 2, rollover=rollover, end=end, end_quarters=more),
    rollovers,
    st.sampled_from(["tail", "expire", "refund", "renewal"]),
    st.sampled_from([None, None, 1, 2]),
)


@st.composite
def uses(draw: st.DrawFn) -> list[Use]:
    """Usage events, some of which arrive long after they occurred."""
    found = []
    for number in range(draw(st.integers(1, 7))):
        occurred = draw(moments)
        found.append(
            Use(
                at=min(occurred + draw(delays), YEAR_END),
                customer="acme",
                id=str(number),
                occurred_at=occurred,
                model="m",
                quantities=(("units", draw(st.integers(1, 15_000_000))),),
            )
        )
    return found


@st.composite
def stories(draw: st.DrawFn) -> list[Happening]:
    """Usage, voids, credits and true-ups."""
    events = draw(uses())
    told: list[Happening] = [*events]
    for event in draw(st.lists(st.sampled_from(events), max_size=3, unique_by=lambda e: e.id)):
        told.append(
            Void(
                at=max(event.at, draw(moments)),
                customer="acme",
                id=f"v{event.id}",
                target_id=event.id,
            )
        )
    for number in range(draw(st.integers(0, 2))):
        when = draw(moments)
        told.append(
            Credit(
                at=when,
                commit="A",
                key=f"c{number}",
                amount=Fraction(draw(st.integers(1, 900)), 100),
                expires_at=draw(st.sampled_from([None, when + timedelta(days=20)])),
                rolls_over=draw(st.booleans()),
            )
        )
    if draw(st.booleans()):
        when = draw(moments)
        told += [
            RequestTrueUp(at=when, commit="A", key="t", amount=Fraction(3)),
            ApproveTrueUp(at=when, key="t"),
        ]
    return sorted(told, key=lambda one: one.at)
