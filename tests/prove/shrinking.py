"""Makes a failing story smaller: leaves out what is not needed for the difference."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from tests.oracle.happenings import Happening, Sign
from tests.prove.database import given_up
from tests.prove.twin import DifferenceError, tell


def failure(story: Sequence[Happening], *, every_day: bool, lazy: bool) -> DifferenceError | None:
    """How a story fails, if it does."""
    with given_up():
        try:
            tell(list(story), every_day=every_day, lazy=lazy)
        except DifferenceError as error:
            return error
        except Exception:  # The oracle cannot tell it without what was left out.
            return None
    return None


def kind_of(error: DifferenceError) -> str:
    """What sort of difference it is: its words without figures."""
    first = error.found[1] if error.found[0].startswith("after ") else error.found[0]
    return re.sub(r"[^a-z_ ]+", "", first.partition("oracle")[0])[:40]


def smaller(error: DifferenceError, seconds: float) -> DifferenceError:
    """Leave out happenings, many at once and then one by one, while it still fails alike.

    What makes the contract (prices and its signing) stays.
    """
    until = time.monotonic() + seconds
    signed = next(place for place, one in enumerate(error.story) if isinstance(one, Sign))
    head, rest = error.story[: signed + 1], error.story[signed + 1 :]
    best = error
    width = max(1, len(rest) // 2)
    while width and time.monotonic() < until:
        place, found = 0, False
        while place < len(rest) and time.monotonic() < until:
            fewer = [*rest[:place], *rest[place + width :]]
            failed = failure([*head, *fewer], every_day=error.every_day, lazy=error.lazy)
            if failed is not None and kind_of(failed) == kind_of(error):
                best, found = failed, True
                rest = failed.story[signed + 1 :]
            else:
                place += width
        if not found or width > 1:
            width //= 2
    return best
