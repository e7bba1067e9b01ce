"""A customer with thousands of tiny runs: what is asked of a stretch of time reads only its runs.

Rows read are counted by EXPLAIN, not by a clock. Long runs are told as exactly as short ones.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import Customer
from metering.domain.chunks import CHUNK_COLUMNS
from metering.domain.rated import RatedQuantity
from metering.models import UsagePeriod
from metering.services import event_listing, recount, unrated, usage_reports
from metering.services.event_listing import Place
from metering.services.rollups import add_usage
from tests.metering.conftest import APR, JAN, NOW, open_terms
from tests.metering.sending import event, send, tokens

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("prices")]

RUNS = 3_600  # One a second of one hour.
BEGIN = datetime(2026, 2, 3, 10, tzinfo=UTC)
MIDDLE = BEGIN + timedelta(seconds=RUNS // 2)
PAGE = 50
DATA = {"sku": "h100", "mode": "dedicated", "gpu_seconds": 7, "busy_gpu_seconds": 6}
LENGTHS = ("0 s", "1 s", "1 minute", "1 hour", "24 hours", "3 days")

# The newest run over and over, a second later each time.
_COPIES = """
WITH newest AS (SELECT * FROM metering_usagerun ORDER BY first_seq DESC LIMIT 1), copied AS (
    INSERT INTO metering_usagechunk (id, occurred_at, event_ids, {rest})
    SELECT id + n, ARRAY[occurred_at[1] + n * interval '1 s'], ARRAY['copy ' || n], {rest}
    FROM metering_usagechunk, generate_series(1, %(count)s) AS n
    WHERE id = (SELECT chunk_id FROM newest)
    RETURNING id, occurred_at[1] AS at
)
INSERT INTO metering_usagerun SELECT customer_id, first_seq + copied.id - chunk_id, copied.id,
    copied.at, copied.at, 1, 1, 1, 1, has_hardware
FROM newest, copied"""
_REST = ", ".join(
    one for one in CHUNK_COLUMNS.split(", ") if one not in ("id", "occurred_at", "event_ids")
)


def rfc3339(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


@pytest.fixture
def period(acme: Customer) -> UsagePeriod:
    """Thousands of runs of an event each, one run of all their time, and one of several days."""
    made = open_terms(acme)
    for name, times in {
        "hour": [BEGIN, MIDDLE, BEGIN + timedelta(seconds=RUNS - 1)],
        "days": [BEGIN - timedelta(days=2), MIDDLE, BEGIN + timedelta(days=2)],
    }.items():
        send(*(
            event(f"{name} {number}", "gpu", DATA, time=rfc3339(at))
            for number, at in enumerate(times)
        ))  # fmt: skip
    send(event("tiny", "gpu", DATA, time=rfc3339(BEGIN)))
    with connection.cursor() as cursor:
        cursor.execute(_COPIES.format(rest=_REST), {"count": RUNS - 1})
        cursor.execute("ANALYZE metering_usagerun, metering_usagechunk")
    rate = Decimal("0.0008")
    copies = (acme.pk, made.pk, BEGIN, "h100", "dedicated", "gpu_seconds", rate, 7 * (RUNS - 1))
    add_usage(rows=[RatedQuantity(*copies)])
    return made


def runs_read(question: Callable[[], object]) -> int:
    """Rows that a question reads from the runs or an index of theirs, passed over or not."""
    with CaptureQueriesContext(connection) as asked:
        question()
    read = 0
    with connection.cursor() as cursor:
        for query in asked.captured_queries:
            if re.search("FROM metering_usage(event|run)", query["sql"]):
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query['sql']}")
                [plan] = cursor.fetchone()
                read += sum(_rows(node) for node in _nodes(plan[0]["Plan"]))
    return read


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _rows(node: dict[str, Any]) -> int:
    of_runs = node.get("Relation Name") == "metering_usagerun" or "usage_runs" in node.get(
        "Index Name", ""
    )
    told = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return round(node["Actual Loops"] * told) if of_runs else 0


@pytest.mark.parametrize("at", [JAN, BEGIN, MIDDLE, BEGIN + timedelta(seconds=RUNS - PAGE)])
def test_a_page_reads_about_as_many_runs_as_it_tells(period: UsagePeriod, at: datetime) -> None:
    def page() -> None:
        found = event_listing.raw_events(
            customer_id=period.customer_id, after=Place(at), end=APR, limit=PAGE, now=NOW
        )
        assert len(found) == PAGE

    assert runs_read(page) < 10 * PAGE


def _in_project(period: UsagePeriod, hour: datetime) -> object:
    return usage_reports.usage_rows(
        customer_id=period.customer_id, start=hour, end=hour + timedelta(hours=1),
        group_by=["project"],
    )  # fmt: skip


def _idle(period: UsagePeriod, hour: datetime) -> object:
    return usage_reports.idle_hardware(
        customer_id=period.customer_id, start=hour, end=hour + timedelta(hours=1)
    )


def _names(period: UsagePeriod, hour: datetime) -> object:
    return event_listing.live_event_ids(
        customer_id=period.customer_id, source="gateway/1", starts_at=hour,
        ends_at=hour + timedelta(hours=1),
    )  # fmt: skip


def _detached(period: UsagePeriod, hour: datetime) -> None:
    unrated.detach_usage(
        customer_id=period.customer_id, period_id=period.pk, start=hour,
        end=hour + timedelta(hours=1), now=NOW,
    )  # fmt: skip


def _recounted(period: UsagePeriod, hour: datetime) -> object:
    return recount.recount(
        scope=recount.UsageScope(period.pk, day=hour.date()), after=recount.NOTHING,
        through=recount.Cutoff(10 * RUNS, NOW),
    )  # fmt: skip


@pytest.mark.parametrize("question", [_in_project, _idle, _names, _detached, _recounted])
def test_what_is_asked_of_a_stretch_of_time_does_not_read_all_that_came_later(
    period: UsagePeriod, question: Callable[[UsagePeriod, datetime], object]
) -> None:
    assert runs_read(lambda: question(period, BEGIN)) > RUNS * 0.8, "they are what is counted"
    before = BEGIN - timedelta(days=1)
    assert runs_read(lambda: question(period, before)) < 20


def test_a_run_reaches_wherever_its_first_and_last_time_say(db: None) -> None:
    """The lengths by which runs are kept apart leave none out, to the microsecond."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
WITH nearly AS (
    SELECT length::interval + near * interval '1 us' AS length
    FROM unnest(%s::text[]) AS length, generate_series(-1, 1) AS near
), asked AS (
    SELECT run.at AS first_at, run.at + run.length AS last_at,
        run.at - before.length AS starts_at, run.at - before.length + stretch.length AS ends_at
    FROM (SELECT timestamptz '2026-03-29 00:30Z' AS at, length FROM nearly) AS run,
        (SELECT length FROM nearly UNION ALL SELECT -length FROM nearly) AS before,
        nearly AS stretch
    WHERE run.length >= interval '0' AND stretch.length > interval '0'
)
SELECT count(*), count(*) FILTER (WHERE last_at >= starts_at AND first_at < ends_at),
    count(*) FILTER (WHERE metering_run_reaches(first_at, last_at, starts_at, ends_at)
        <> (last_at >= starts_at AND first_at < ends_at))
FROM asked""",
            [list(LENGTHS)],
        )
        asked, reaching, wrong = cursor.fetchone()
    assert 0 < reaching < asked and wrong == 0


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_events_of_long_runs_are_told_once_beside_short_ones(acme: Customer, limit: int) -> None:
    """Runs of every length, each with an event in its midst, and a lone one every six hours."""
    hours = {"second": 1 / 3_600, "minute": 1 / 60, "hour": 1, "day": 24, "days": 60}
    for name, length in hours.items():
        for number in range(2):
            first = BEGIN + timedelta(hours=7 * number)
            send(*(
                tokens(f"{name} {number} {part}",
                       time=rfc3339(first + timedelta(hours=length * part / 2)))
                for part in range(3)
            ))  # fmt: skip
    for number in range(11):
        send(tokens(f"lone {number}", time=rfc3339(BEGIN + timedelta(hours=6 * number))))
    whole = list(event_listing.every_event(customer_id=acme.pk, start=JAN, end=APR, now=NOW))
    assert len({one.id for one in whole}) == len(whole) == 5 * 2 * 3 + 11
    assert [one.occurred_at for one in whole] == sorted(one.occurred_at for one in whole)
    paged, after = [], Place(JAN)
    while page := event_listing.raw_events(
        customer_id=acme.pk, after=after, end=APR, limit=limit, now=NOW
    ):
        paged += page
        after = Place.of(page[-1].behind.cursor())
    assert paged == whole
