"""Stories that random contracts meet too rarely."""

import pytest

from tests.prove.approvals import APPROVALS
from tests.prove.database import given_up
from tests.prove.endings import ENDINGS
from tests.prove.given_up import GIVEN_UP
from tests.prove.stories import STORIES, Story
from tests.prove.twin import tell

# Usage is booked after every step, or with the next job as the service does.
TOLD = [
    *[(name, story, lazy) for name, story in STORIES.items() for lazy in (False, True)],
    *[(name, story, True) for name, story in (ENDINGS | GIVEN_UP | APPROVALS).items()],
]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("story", "lazy"),
    [pytest.param(story, lazy, id=f"{name}{', lazily' * lazy}") for name, story, lazy in TOLD],
)
def test_the_books_and_the_oracle_agree(story: Story, lazy: bool) -> None:
    """After every step."""
    with given_up():
        tell(story, lazy=lazy)
