"""The worker's tasks of this app: each calls one service. The queue is an accelerator only: the
beat repeats everything, and every service does nothing where there is nothing to do."""

from celery import shared_task

from billing.services import clock
from commits.services import daily


@shared_task(name="commits.draw_down")
def draw_down() -> int:
    """Book usage that the journal does not hold yet."""
    return daily.draw_down(now=clock.now())


@shared_task(name="commits.run_due_jobs")
def run_due_jobs() -> int:
    """Run the daily jobs that have fallen due and are not done."""
    return daily.run_due_jobs(now=clock.now())
