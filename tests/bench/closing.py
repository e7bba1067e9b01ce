"""Closing every commit's quarter, against one raw aggregation of the same events.

Ten thousand commits whose quarter holds ten million events. Closing is planning and posting:
digests, journal entries, next quarters' money, draft invoices; two processes share the work, as
two workers would. What it is held against adds the same events up by customer, model, mode and
meter in one statement, which is what a close without rollups would have to begin with.
"""

import os
import resource
import time
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median

from tests.bench import balance, ten_million
from tests.bench.apart import apart, side_by_side
from tests.bench.copying import EVENTS_AS_ROWS
from tests.bench.lines import line, note
from tests.bench.service import create_database

COMMITS, FEW, EVENTS_EACH = 10_000, 10, 1_000
WORKERS = 2
_AGGREGATION = """
SELECT event.customer_id, event.model, event.mode, reported.meter, sum(reported.quantity)
FROM raw_event AS event
CROSS JOIN LATERAL (VALUES ('input_tokens', event.input_tokens),
    ('cached_input_tokens', event.cached_input_tokens), ('output_tokens', event.output_tokens),
    ('gpu_seconds', event.gpu_seconds)) AS reported (meter, quantity)
WHERE reported.quantity > 0
GROUP BY 1, 2, 3, 4"""


def measures(url: str, place: Path) -> Iterator[str]:
    """The lines about closes and balances, on databases of their own on the server at `url`."""
    commits = int(os.environ.get("BENCH_COMMITS", COMMITS))
    full = create_database(url, "bench_closes")
    small = create_database(url, "bench_few_closes")
    _fill(full, place, commits)
    _fill(small, place, FEW)
    yield from balance.measures(full, small, place, customers=commits, few=FEW)
    yield from _closes(full, place, commits)


def _fill(url: str, place: Path, commits: int) -> None:
    begun = time.monotonic()
    apart(url, place, sign, commits)
    shares = [(number, WORKERS, commits, EVENTS_EACH) for number in range(WORKERS)]
    works = [(ten_million.ingest_share, share) for share in shares]
    if sum(side_by_side(url, place, works)) != commits * EVENTS_EACH:
        raise RuntimeError("not all events were accepted")
    apart(url, place, book)
    note(f"{commits:,} commits, {commits * EVENTS_EACH:,} events: {time.monotonic() - begun:.0f} s")


def _closes(url: str, place: Path, commits: int) -> Iterator[str]:
    before = apart(url, place, aggregation_seconds)
    together = get_context("fork").Barrier(WORKERS)
    closed = side_by_side(url, place, [(close_all, (together,))] * WORKERS)
    if sum(rows for rows, *_ in closed) != commits:
        raise RuntimeError(f"{closed} of {commits} quarters were posted")
    seconds = max(one[2] for one in closed) - min(one[1] for one in closed)
    after = apart(url, place, aggregation_seconds)
    yield line("close_vs_aggregation", seconds, median([*before, *after]), unit="s")
    early, late = (max(one[column] for one in closed) for column in (3, 4))
    yield line("close_rss_growth", late - early, early, unit="bytes")


def sign(commits: int) -> None:
    """Tables, prices, customers and their commits."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    ten_million.make_customers(commits)


def book() -> None:
    """The books of all that usage; and the same events as rows of a plain table."""
    from django.db import connection

    from commits.services import daily

    daily.draw_down(now=ten_million.USED_AT)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE raw_event AS {EVENTS_AS_ROWS}")
        cursor.execute("VACUUM (ANALYZE)")


def aggregation_seconds() -> list[float]:
    """One statement over all events, three times."""
    from django.db import connection

    taken = []
    with connection.cursor() as cursor:
        for _ in range(3):
            begun = time.perf_counter()
            cursor.execute(f"SELECT count(*) FROM ({_AGGREGATION}) AS counted")  # noqa: S608
            taken.append(time.perf_counter() - begun)
    return taken


def close_all(together: Barrier) -> tuple[int, float, float, int, int]:
    """One worker's share, begun when all are ready: the quarters it posted, when it began and was
    done, and its peak memory after its second set and at the end, in bytes."""
    from django.db import connection

    from commits.services import closes

    connection.ensure_connection()
    together.wait(120)
    begun = time.time()
    posted, peaks = 0, []
    for rows in closes.closed_sets(as_of=ten_million.CLOSES_AT, now=ten_million.CLOSES_AT):
        posted += sum(row.state in ("posted", "invoiced") for row in rows)
        if rows:
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    end = time.time()
    return (
        posted,
        begun,
        end,
        peaks[min(1, len(peaks) - 1)] if peaks else 0,
        peaks[-1] if peaks else 0,
    )
