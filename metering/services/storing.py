"""One database transaction of ingest: locks, events, rates, rollups, what waits, sequences.

Nearly every batch is new, so its rows are copied straight into the keyed table; only when a key is
there already is the transaction given up, and the known ones are looked up. They need no lock: an
event that is there stays there as it is. So a batch that is known altogether writes nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

from django.db import connection, transaction

from billing.domain.array_format import array_of
from billing.services.retrying import retried
from metering.domain.events import VoidEvent
from metering.domain.rows import Row
from metering.services import event_store
from metering.services.batches import OTHER_CONTENT, Batch, IngestResult, once_each, refusal
from metering.services.drawing_up import Group, draw_up, sum_up, too_dear, write_waiting
from metering.services.rating import customer_rates
from metering.services.rollups import add_usage
from metering.services.usage_lock import LockedUsage, lock_usage_and_book
from metering.services.voids import accept_voids

# A close may hold the locks for some seconds. Who waits longer is told to try again, so that what
# waits does not pile up.
LOCK_SECONDS = 15
_TOO_DEAR = "it would be worth a trillion dollars or more"


@dataclass(slots=True)
class _Work:
    """Rows with distinct keys, sorted, and what they add up to."""

    rows: list[Row]
    sums: Mapping[Group, int]
    now: datetime
    has_voids: bool


@dataclass(slots=True)
class _Outcome:
    """What became of rows in one transaction: (row, code, detail) for each refused one."""

    accepted: list[Row] = field(default_factory=list)
    duplicates: list[Row] = field(default_factory=list)
    unrated: list[Row] = field(default_factory=list)
    refused: list[tuple[Row, str, str]] = field(default_factory=list)


def store(batches: Sequence[Batch]) -> list[IngestResult]:
    """Store all batches in one durable transaction: each one's result.

    Where two carry the same key, the one that arrived first counts. Locks the usage of all their
    customers. Nothing is stored if it raises.
    """
    return _store(batches, durable=True)


def store_within(batch: Batch) -> IngestResult:
    """Store one batch inside the caller's database transaction, which may still be given up."""
    return _store([batch], durable=False)[0]


def _store(batches: Sequence[Batch], *, durable: bool) -> list[IngestResult]:
    work, settled = _merged(batches)
    while work.rows:
        try:
            _record(settled, _attempt(work, durable))
            break
        except event_store.EventKnown:
            work = _without_known(work, settled)
    results = {batch.arrival: batch.fresh_result() for batch in batches}
    for arrival, count in Counter(row.arrival for row in settled.accepted).items():
        results[arrival].accepted += count
    for arrival, count in Counter(row.arrival for row in settled.duplicates).items():
        results[arrival].duplicates += count
    for arrival, count in Counter(row.arrival for row in settled.unrated).items():
        results[arrival].unrated += count
    for row, code, detail in settled.refused:
        results[row.arrival].refused.append(refusal(row, code, detail))
    return [results[batch.arrival] for batch in batches]


def _merged(batches: Sequence[Batch]) -> tuple[_Work, _Outcome]:
    now = max(batch.now for batch in batches)
    has_voids = any(batch.has_voids for batch in batches)
    if len(batches) == 1:
        return _Work(batches[0].rows, batches[0].sums, now, has_voids), _Outcome()
    rows, same, other = once_each([*chain.from_iterable(batch.rows for batch in batches)])
    if same or other:
        sums = sum_up(rows)
    else:
        sums = dict(batches[0].sums)
        for batch in batches[1:]:
            for group, quantity in batch.sums.items():
                sums[group] = sums.get(group, 0) + quantity
    settled = _Outcome(duplicates=same)
    settled.refused = [(row, "conflict", OTHER_CONTENT) for row in other]
    return _Work(rows, sums, now, has_voids), settled


def _without_known(work: _Work, settled: _Outcome) -> _Work:
    """What is left when the events that are stored already have been settled."""
    known = event_store.fingerprints(refs=[(row.customer_id, row.key) for row in work.rows])
    new, duplicates, conflicts = event_store.split(work.rows, known)
    if len(new) == len(work.rows):
        raise RuntimeError("a key is said to be known, but is not there")
    settled.duplicates += duplicates
    settled.refused += [(row, "conflict", OTHER_CONTENT) for row in conflicts]
    return _Work(new, sum_up(new), work.now, work.has_voids)


def _record(settled: _Outcome, outcome: _Outcome) -> None:
    settled.accepted += outcome.accepted
    settled.duplicates += outcome.duplicates
    settled.unrated += outcome.unrated
    settled.refused += outcome.refused


@retried
def _attempt(work: _Work, durable: bool) -> _Outcome:
    """One transaction. Raises EventKnown; of one that failed nothing was kept."""
    with transaction.atomic(durable=durable):
        return _accept(work)


def _accept(work: _Work) -> _Outcome:
    outcome = _Outcome()
    states, book_version = lock_usage_and_book(
        customer_ids=list(dict.fromkeys(row.customer_id for row in work.rows)),
        wait_seconds=LOCK_SECONDS,
    )
    sequences = {customer_id: state.ingest_seq for customer_id, state in states.items()}
    rates = customer_rates(
        terms_versions={customer_id: one.terms_version for customer_id, one in states.items()},
        book_version=book_version,
    )
    usage, voids = work.rows, list[Row]()
    if work.has_voids:
        usage = [row for row in work.rows if not isinstance(row.event, VoidEvent)]
        voids = [row for row in work.rows if isinstance(row.event, VoidEvent)]
    drawn = draw_up(sums=work.sums, rates=rates)
    if drawn.too_dear and (dear := too_dear(rows=usage, groups=drawn.too_dear, rates=rates)):
        outcome.refused += [(row, "invalid_event", _TOO_DEAR) for row in dear]
        places = {row[:4] for row in dear}
        usage = [row for row in usage if row[:4] not in places]
        drawn = draw_up(sums=sum_up(usage), rates=rates)
    event_store.insert(rows=usage, sequences=sequences)
    _count_on(sequences, usage)
    outcome.accepted += usage
    outcome.unrated = write_waiting(rows=usage, waiting=drawn.waiting, now=work.now)
    if voids:
        voided = accept_voids(rows=voids, sequences=sequences, rates=rates, now=work.now)
        _count_on(sequences, voided.new)
        outcome.accepted += voided.new
        outcome.duplicates += voided.duplicates
        outcome.refused += voided.refused
        drawn.rated += voided.taken_off
    add_usage(rows=drawn.rated)
    _write_sequences(states, sequences)
    return outcome


def _count_on(sequences: dict[int, int], rows: Sequence[Row]) -> None:
    for customer_id, count in Counter(row.customer_id for row in rows).items():
        sequences[customer_id] += count


def _write_sequences(states: Mapping[int, LockedUsage], sequences: Mapping[int, int]) -> None:
    moved = [one for one, state in states.items() if sequences[one] != state.ingest_seq]
    if moved:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE metering_usagestate AS state SET ingest_seq = fresh.seq"
                " FROM unnest(%s::bigint[], %s::bigint[]) AS fresh (customer_id, seq)"
                " WHERE state.customer_id = fresh.customer_id",
                [array_of(moved), array_of(sequences[one] for one in moved)],
            )
