"""A commit starts in a year that quarters can be counted from, and to: a slip of the pen is 422."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from commits.domain.terms import CommitTerms, problems

TERMS = CommitTerms(
    customer_key="acme",
    starts_on=date(2026, 1, 1),
    quarters=2,
    instalments=(Decimal(1), Decimal(1)),
    discount=Decimal("0.2"),
)


@pytest.mark.parametrize("year", [1, 26, 1926, 1999, 3000, 9999])
def test_a_year_that_nobody_means_is_refused(year: int) -> None:
    [problem] = problems(replace(TERMS, starts_on=date(year, 12, 31)))
    assert problem.startswith("starts_on lies from 2000-01-01")


@pytest.mark.parametrize("year", [2000, 2026, 2999])
def test_any_other_is_taken(year: int) -> None:
    assert problems(replace(TERMS, starts_on=date(year, 12, 31))) == []
