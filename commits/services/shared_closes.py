"""The closes of a day, which other workers may share: the one that runs the daily jobs says in a
`JobRun` row that it is closing, and who finds it at that closes what it has not come to yet.

Nobody depends on a helper: sets are shared out by locks, a helper waits for none, and what one
leaves when it dies is closed by the runner. The row is a sign, never the truth.
"""

from datetime import datetime

from billing.models import JobRun
from billing.services import clock
from commits.services.closes import closed_sets

CLOSES = "closes"


def close_due(*, now: datetime) -> None:
    """Close every quarter due at `now`, which is the daily jobs' due instant. Idempotent."""
    told = False
    for _ in closed_sets(as_of=now, now=now):
        if not told:
            JobRun.objects.update_or_create(job=CLOSES, due_at=now, defaults={"finished_at": None})
            told = True
    # Also what a runner that was killed has left.
    JobRun.objects.filter(job=CLOSES, finished_at=None).update(finished_at=clock.now())


def lend_a_hand() -> int:
    """Close sets of the run that is going on elsewhere, until it is done: how many quarters."""
    going_on = JobRun.objects.filter(job=CLOSES, finished_at=None)
    found = going_on.order_by("-due_at").first()
    if found is None:
        return 0
    closed = 0
    for rows in closed_sets(as_of=found.due_at, now=found.due_at, waits=False):
        closed += len(rows)
        if not going_on.filter(pk=found.pk).exists():
            break
    return closed
