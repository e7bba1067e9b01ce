"""One database transaction of ingest: keys, chunks, what was added, what waits, sequences.

Nearly every batch is new, so its keys are copied straight into their table; only when one is there
already is the transaction given up, and the known ones are looked up. Nobody is locked meanwhile:
rates are those that were in force when they were last looked at, and that they still are is asked
together with the sequence numbers, which come last. A batch with voids locks first, because what
it takes back must hold still.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime

import numpy as np
from django.db import transaction

from billing.services.retrying import retried
from metering.domain.columns import VOID, Columns
from metering.domain.events import Refusal
from metering.services import event_store
from metering.services.batches import Batch, IngestResult
from metering.services.drawing_up import draw_up, sum_up, too_dear, write_waiting
from metering.services.numbering import LOCK_SECONDS, TermsChanged, number_events
from metering.services.rating import KnownRates, customer_rates, last_rates
from metering.services.rollups import add_usage
from metering.services.usage_deltas import note_usage
from metering.services.usage_lock import lock_usage_and_book
from metering.services.voids import accept_voids

_TOO_DEAR = "it would be worth a trillion dollars or more"


class Unsettled(Exception):
    """Not all events of some batches can be stored together: each is to be stored alone."""


class _TooDear(Exception):
    """Events of a batch are worth more than the books can hold: their positions."""

    def __init__(self, positions: list[int]) -> None:
        self.positions = set(positions)


def store(batches: Sequence[Batch]) -> list[IngestResult]:
    """Store all batches in one durable transaction: each one's result.

    Locks the usage of all their customers. Nothing is stored if it raises: Unsettled where several
    batches bring a key that is known already, an event too dear, or a void.
    """
    if len(batches) == 1:
        return [_store_alone(batches[0], durable=True)]
    if any(batch.has_voids for batch in batches):
        raise Unsettled
    try:
        return _attempt(batches, durable=True)
    except (event_store.EventKnown, _TooDear) as error:
        raise Unsettled from error


def store_within(batch: Batch) -> IngestResult:
    """Store one batch inside the caller's database transaction, which may still be given up."""
    return _store_alone(batch, durable=False)


def _store_alone(batch: Batch, *, durable: bool) -> IngestResult:
    while len(batch.columns):
        try:
            return _attempt([batch], durable=durable)[0]
        except event_store.EventKnown:
            left = batch.without_known()
            if len(left.columns) == len(batch.columns):
                raise RuntimeError("a key is said to be known, but is not there") from None
            batch = left
        except _TooDear as error:
            for position in sorted(error.positions):
                batch.refuse(position, "invalid_event", _TOO_DEAR)
            batch = batch.only([at not in error.positions for at in range(len(batch.columns))])
    return batch.result


@retried
def _attempt(batches: Sequence[Batch], *, durable: bool) -> list[IngestResult]:
    """One transaction, or a second one with the rates of this moment. Raises EventKnown, _TooDear;
    of one that failed nothing was kept."""
    store_all = _store_with_voids if batches[0].has_voids else _store_usage
    customers = {origin.customer_id for batch in batches for origin in batch.columns.origins}
    try:
        with transaction.atomic(durable=durable):
            waiting, refused = store_all(batches, last_rates(customers) or _locked(customers))
    except TermsChanged:
        with transaction.atomic(durable=durable):
            waiting, refused = store_all(batches, _locked(customers))
    # Results change once it is certain: the transaction may be tried again.
    for batch, unrated in zip(batches, waiting, strict=True):
        batch.result.accepted += len(batch.columns) - len(refused)
        batch.result.unrated += unrated
        batch.result.refused += refused
    return [batch.result for batch in batches]


def _store_usage(batches: Sequence[Batch], rates: KnownRates) -> tuple[list[int], list[Refusal]]:
    """Store usage as one chunk: how many events of each batch wait to be rated."""
    first, now = batches[0], max(batch.now for batch in batches)
    waiting = _store_chunk([batch.columns for batch in batches], first.chunk_id, rates, now)
    ends = np.cumsum([len(batch.columns) for batch in batches])
    counted = Counter(np.searchsorted(ends, waiting, side="right").tolist())
    return [counted[index] for index in range(len(batches))], []


def _store_chunk(
    parts: Sequence[Columns], chunk_id: int, rates: KnownRates, now: datetime
) -> list[int]:
    """Store events as a chunk: which of them wait, as if one part followed the other.

    Whatever can be written without the locks is written before them.
    """
    columns, stood = Columns.joined(parts)
    event_store.insert(columns=columns, chunk_id=chunk_id, received_at=now)
    drawn = draw_up(sums=sum_up(columns), rates=rates.by_customer)
    if dear := too_dear(columns=columns, groups=drawn.too_dear, rates=rates.by_customer):
        raise _TooDear(stood[dear].tolist())
    waiting = write_waiting(columns=columns, chunk_id=chunk_id, waiting=drawn.waiting, now=now)
    note_usage(rows=drawn.rated)
    number_events(columns=columns, chunk_id=chunk_id, rates=rates)
    places: list[int] = stood[sorted(waiting)].tolist()
    return places


def _store_with_voids(
    batches: Sequence[Batch], rates: KnownRates
) -> tuple[list[int], list[Refusal]]:
    """Store a batch in which events are taken back: how many wait, and which voids are refused.

    By the time of its voids its usage is stored, so that a void may stand before its target. What
    they take back must hold still, and so must what it was rated by: the locks come first.
    """
    [batch] = batches
    rates = _locked(rates.by_customer.keys())
    of_voids = np.array([origin.kind == VOID for origin in batch.columns.origins])
    is_void = of_voids[batch.columns.origin]
    usage = batch.only(~is_void)
    voids, _ = Columns.joined([batch.columns.only(is_void)])
    if [is_stored for _, is_stored in event_store.not_stored_alike(voids)] != [False] * len(voids):
        raise event_store.EventKnown
    waiting: list[int] = []
    if len(usage.columns):
        try:
            waiting = _store_chunk([usage.columns], usage.chunk_id, rates, batch.now)
        except _TooDear as error:
            places = np.flatnonzero(~is_void).tolist()
            raise _TooDear([places[position] for position in error.positions]) from error
    voided = accept_voids(columns=voids, rates=rates.by_customer, now=batch.now)
    add_usage(rows=voided.taken_off)
    left = voids.only([at not in voided.refused for at in range(len(voids))])
    if len(left):
        new = Batch.of(left, event_store.next_number(), IngestResult(), batch.now)
        event_store.insert(columns=left, chunk_id=new.chunk_id, received_at=batch.now)
        reached = number_events(columns=left, chunk_id=new.chunk_id, rates=rates)
        event_store.insert_voids(columns=left, targets=voided.targets, reached=reached)
    refused = [
        Refusal(int(voids.place_in_request[position]), voids.ids[position], code, detail)
        for position, (code, detail) in voided.refused.items()
    ]
    return [len(waiting)], refused


def _locked(customers: Collection[int]) -> KnownRates:
    """Lock the usage of customers, and read their rates."""
    states, book_version = lock_usage_and_book(
        customer_ids=list(customers), wait_seconds=LOCK_SECONDS
    )
    versions = {customer_id: state.terms_version for customer_id, state in states.items()}
    rates = customer_rates(terms_versions=versions, book_version=book_version)
    return KnownRates(book_version, versions, rates)
