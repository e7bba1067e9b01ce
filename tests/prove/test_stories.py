"""Stories that random contracts meet too rarely."""

import pytest

from tests.prove.database import given_up
from tests.prove.stories import STORIES
from tests.prove.twin import tell


@pytest.mark.django_db
@pytest.mark.parametrize("lazy", [False, True], ids=["at once", "lazily"])
@pytest.mark.parametrize("name", STORIES)
def test_the_books_and_the_oracle_agree(name: str, lazy: bool) -> None:
    """After every step, whether usage is booked at once or with the next job."""
    with given_up():
        tell(STORIES[name], lazy=lazy)
