"""A short run of the proof with fixed seeds, for the test command. `make prove` is the long one."""

import pytest

from tests.prove.rounds import run_round
from tests.prove.twin import DifferenceError


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize("seed", [1, 2])
def test_the_books_and_the_oracle_agree(seed: int) -> None:
    """On random contracts, after every step; a story that fails is told in full."""
    found = run_round(seed, contracts=4, steps=15)
    assert found is None, _told(found)


def _told(found: DifferenceError | None) -> str:
    return f"{found}\n" + "\n".join(repr(one) for one in (found.story if found else []))
