"""What happens by itself: the daily jobs, each run once per due instant, and the sandbox jump.

The daily jobs fall due at every midnight UTC and run with `now` = their own due instant, however
late they are run; a jump of the sandbox clock runs each skipped day in order, the same effect as
waiting. A `JobRun` row marks a day as done after everything in it is done, so a process that dies
half-way leaves the day to be run again; every job is idempotent.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import psycopg
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce

from billing.domain.errors import Conflict, InvalidInput
from billing.models import Customer, JobRun
from billing.services import clock, credit_note_push, invoice_push
from billing.services.retrying import retried
from commits.models import Commit, CommitState, Quarter, QuarterState
from commits.services.after_the_end import settle_ended
from commits.services.backfills import apply_approved
from commits.services.books import sync_books
from commits.services.chains import load_chains
from commits.services.quarters import AHEAD, extend
from commits.services.shared_closes import close_due, lend_a_hand
from metering.models import DailyUsage, Resolution, UnratedUsage
from metering.services import usage_deltas

DAILY = "daily"
DAY = timedelta(days=1)
LONGEST_JUMP = timedelta(days=3 * 366)
# One runner at a time: an arbitrary number that nothing else in this project locks.
RUNNER_LOCK = 7_315_002
CHUNK = 100


def draw_down(*, now: datetime) -> int:
    """Book usage that the journal does not hold yet, for every chain that has any. Idempotent."""
    usage_deltas.fold()
    posted = 0
    origins = stale_origins()
    for start in range(0, len(origins), CHUNK):
        posted += sync_books(origin_ids=origins[start : start + CHUNK], now=now)
    return posted


def stale_origins() -> list[UUID]:
    """Chains whose customer has had events since the last booking, or usage that was rated later.

    A price that fills a gap rates waiting usage without an event: of the few customers who ever
    had such usage, what is booked is compared with what metering has.
    """
    bookable = Commit.objects.filter(
        origin=F("pk"), chain__quarters__state__in=[QuarterState.OPEN, QuarterState.PLANNED]
    )
    had_events = bookable.filter(customer__usage_state__ingest_seq__gt=F("booked_seq"))
    waited = UnratedUsage.objects.filter(
        customer=OuterRef("commit__customer"), resolution=Resolution.RATED
    )
    rated = (
        DailyUsage.objects.filter(period=OuterRef("usage_period"))
        .order_by()
        .values("period")
        .annotate(total=Sum("amount"))
        .values("total")
    )
    differing = (
        Quarter.objects.filter(Exists(waited), origin__in=bookable)
        .annotate(rated=Coalesce(Subquery(rated), Decimal(0)))
        .exclude(rated=F("booked_drawn") + F("booked_overage"))
    )
    found = {*had_events.values_list("pk", flat=True), *differing.values_list("origin", flat=True)}
    return sorted(found)


def open_next_quarters(*, now: datetime) -> int:
    """Open the next quarter of tails and of uncommitted customers, a day before it begins."""
    candidates = (
        Commit.objects.filter(state=CommitState.ACTIVE)
        .exclude(quarters__ends_at__gt=now + AHEAD)
        .order_by("pk")
        .values_list("origin", flat=True)
        .distinct()
    )
    return sum(_open_ahead(origin_id, now) for origin_id in candidates)


@retried
def _open_ahead(origin_id: UUID, now: datetime) -> int:
    # Whoever signs holds the usage of its customer before the chain: the two can meet.
    with transaction.atomic():
        state = load_chains(origin_ids=[origin_id], lock=True)[origin_id]
        return len(extend(state=state, now=now))


def run_daily(*, now: datetime) -> None:
    """One day's jobs: next quarters, usage, closes, what came after the end, then Stripe."""
    open_next_quarters(now=now)
    apply_approved(now=now)
    draw_down(now=now)
    close_due(now=now)
    settle_ended(now=now)
    invoice_push.push_due_invoices(now=now)
    credit_note_push.push_due_notes(now=now)


def run_due_jobs(*, now: datetime) -> int:
    """Run every day's jobs that fell due up to `now` and are not done. Returns days run.

    Where another process is at it, lends it a hand with its closes.
    """
    with only_runner() as alone:
        if alone:
            return _run_days(now)
    lend_a_hand()
    return 0


def _run_days(now: datetime) -> int:
    days = 0
    for due in _due_days(now):
        run_daily(now=due)
        JobRun.objects.update_or_create(
            job=DAILY, due_at=due, defaults={"finished_at": clock.now()}
        )
        days += 1
    return days


def _due_days(now: datetime) -> Iterator[datetime]:
    latest = midnight(now)
    done = JobRun.objects.filter(job=DAILY, finished_at__isnull=False).order_by("-due_at").first()
    due = done.due_at + DAY if done else latest
    while due <= latest:
        yield due
        due += DAY


def midnight(instant: datetime) -> datetime:
    """The last midnight UTC not after an instant: when the daily jobs fall due."""
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def jump(*, to: datetime, real_now: datetime) -> datetime:
    """Set the sandbox clock, and run what falls due on the way, day by day.

    The clock shows each due instant while that day's jobs run. Without customers it may be set
    anywhere; the days before are then nobody's. Returns the service's new time.
    Raises Conflict `clock_goes_back`, `jobs_running`, InvalidInput `jump_too_far`.
    """
    with only_runner(wait=True) as alone:
        if not alone:
            raise Conflict("jobs_running", "the daily jobs are running; try again")
        if not Customer.objects.exists():
            clock.set_sandbox_clock(to=to, real_now=real_now)
            JobRun.objects.filter(job=DAILY).delete()
            JobRun.objects.create(job=DAILY, due_at=midnight(to), finished_at=to)
            return to
        if to < clock.now():
            raise Conflict("clock_goes_back", "the clock does not go back once there are customers")
        if to > clock.now() + LONGEST_JUMP:
            raise InvalidInput("jump_too_far", "a jump runs every day on its way: at most 3 years")
        for due in _due_days(to):
            if due > clock.now():
                clock.set_sandbox_clock(to=due, real_now=datetime.now(UTC))
            run_daily(now=due)
            JobRun.objects.update_or_create(job=DAILY, due_at=due, defaults={"finished_at": due})
        if to > clock.now():
            clock.set_sandbox_clock(to=to, real_now=datetime.now(UTC))
        draw_down(now=to)
    return to


@contextmanager
def only_runner(*, wait: bool = False) -> Iterator[bool]:
    """Whether this process is the only one to run daily jobs; the server drops the lock with us.

    A session lock on a connection of its own: it spans many database transactions and Stripe
    calls, and must not outlive a killed process or leak through a connection pool.
    """
    parameters = connection.get_connection_params()
    for pooled in ("pool", "server_side_binding", "prepare_threshold", "cursor_factory", "context"):
        parameters.pop(pooled, None)
    with psycopg.connect(**parameters, autocommit=True) as lock:
        if wait:
            lock.execute("SET lock_timeout = '60s'")
            try:
                lock.execute("SELECT pg_advisory_lock(%s)", [RUNNER_LOCK])
            except psycopg.errors.LockNotAvailable:
                yield False
                return
            yield True
            return
        row = lock.execute("SELECT pg_try_advisory_lock(%s)", [RUNNER_LOCK]).fetchone()
        yield bool(row and row[0])
