"""One database transaction of ingest: keys, chunks, locks, rates, rollups, what waits, sequences.

Nearly every batch is new, so its keys are copied straight into their table; only when one is there
already is the transaction given up, and the known ones are looked up. Keys and chunks go in before
any customer is locked: what others wait for is only the counting, which is short. A batch with
voids locks first, because what it takes back must hold still.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from django.db import connection, transaction

from billing.domain.array_format import array_of
from billing.services.retrying import retried
from metering.domain.chunks import VOID, Columns
from metering.domain.events import Refusal
from metering.services import event_store
from metering.services.batches import Batch, IngestResult
from metering.services.drawing_up import Group, draw_up, too_dear, write_waiting
from metering.services.rating import CustomerRates, customer_rates
from metering.services.rollups import add_usage
from metering.services.usage_lock import LockedUsage, lock_usage_and_book
from metering.services.voids import accept_voids

# A close may hold the locks for some seconds. Who waits longer is told to try again, so that what
# waits does not pile up.
LOCK_SECONDS = 15
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
    """One transaction. Raises EventKnown, _TooDear; of one that failed nothing was kept."""
    refused: list[Refusal] = []
    with transaction.atomic(durable=durable):
        if batches[0].has_voids:
            waiting, refused = _accept_voids_too(batches[0])
        else:
            waiting = _accept(batches)
    # Results change once it is certain: the transaction may be tried again.
    for batch, unrated in zip(batches, waiting, strict=True):
        batch.result.accepted += len(batch.columns) - len(refused)
        batch.result.unrated += unrated
        batch.result.refused += refused
    return [batch.result for batch in batches]


def _accept(batches: Sequence[Batch]) -> list[int]:
    """Store usage as one chunk: how many events of each batch wait to be rated."""
    first, now = batches[0], max(batch.now for batch in batches)
    if len(batches) == 1:
        columns, owners = first.columns, [0] * len(first.columns)
    else:
        columns, owners = Columns.joined([batch.columns for batch in batches])
    event_store.insert(columns=columns, chunk_id=first.chunk_id, received_at=now)
    states, rates = _locked(columns)
    drawn = draw_up(sums=_sums(batches), rates=rates)
    if dear := too_dear(columns=columns, groups=drawn.too_dear, rates=rates):
        raise _TooDear(dear)
    waiting = write_waiting(
        columns=columns, chunk_id=first.chunk_id, waiting=drawn.waiting, now=now
    )
    add_usage(rows=drawn.rated)
    _number(columns, first.chunk_id, {one: state.ingest_seq for one, state in states.items()})
    counted = Counter(owners[position] for position in waiting)
    return [counted[index] for index in range(len(batches))]


def _accept_voids_too(batch: Batch) -> tuple[list[int], list[Refusal]]:
    """Store a batch in which events are taken back: how many wait, and which voids are refused.

    By the time of its voids its usage is stored, so that a void may stand before its target.
    """
    states, rates = _locked(batch.columns)
    sequences = {one: state.ingest_seq for one, state in states.items()}
    is_void = [batch.columns.origins[one].kind == VOID for one in batch.columns.origin]
    usage, voids = batch.only([not one for one in is_void]), batch.columns.only(is_void)
    if event_store.fingerprints(refs=voids.refs()):
        raise event_store.EventKnown
    if len(usage.columns):
        event_store.insert(columns=usage.columns, chunk_id=usage.chunk_id, received_at=batch.now)
    drawn = draw_up(sums=usage.sums, rates=rates)
    if dear := too_dear(columns=usage.columns, groups=drawn.too_dear, rates=rates):
        places = [at for at, one in enumerate(is_void) if not one]
        raise _TooDear([places[position] for position in dear])
    waiting = write_waiting(
        columns=usage.columns, chunk_id=usage.chunk_id, waiting=drawn.waiting, now=batch.now
    )
    voided = accept_voids(columns=voids, rates=rates, now=batch.now)
    add_usage(rows=[*drawn.rated, *voided.taken_off])
    if len(usage.columns):
        sequences = _number(usage.columns, usage.chunk_id, sequences)
    left = voids.only([at not in voided.refused for at in range(len(voids))])
    if len(left):
        new = Batch.of(left, event_store.next_number(), IngestResult(), batch.now)
        event_store.insert(columns=left, chunk_id=new.chunk_id, received_at=batch.now)
        sequences = _number(left, new.chunk_id, sequences)
        event_store.insert_voids(columns=left, targets=voided.targets, reached=sequences)
    refused = [
        Refusal(voids.place_in_request[position], voids.ids[position], code, detail)
        for position, (code, detail) in voided.refused.items()
    ]
    return [len(waiting)], refused


def _locked(columns: Columns) -> tuple[dict[int, LockedUsage], Mapping[int, CustomerRates]]:
    """Lock the usage of all customers of some events: their states, and their rates."""
    states, book_version = lock_usage_and_book(
        customer_ids=list({origin.customer_id for origin in columns.origins}),
        wait_seconds=LOCK_SECONDS,
    )
    rates = customer_rates(
        terms_versions={customer_id: one.terms_version for customer_id, one in states.items()},
        book_version=book_version,
    )
    return states, rates


def _sums(batches: Sequence[Batch]) -> dict[Group, int]:
    if len(batches) == 1:
        return batches[0].sums
    sums = dict(batches[0].sums)
    for batch in batches[1:]:
        for group, quantity in batch.sums.items():
            sums[group] = sums.get(group, 0) + quantity
    return sums


def _number(columns: Columns, chunk_id: int, sequences: Mapping[int, int]) -> dict[int, int]:
    """Give the events of a chunk their sequence numbers: each customer's last one."""
    reached = event_store.insert_runs(columns=columns, chunk_id=chunk_id, sequences=sequences)
    moved = [one for one, seq in sequences.items() if reached[one] != seq]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE metering_usagestate AS state SET ingest_seq = fresh.seq"
            " FROM unnest(%s::bigint[], %s::bigint[]) AS fresh (customer_id, seq)"
            " WHERE state.customer_id = fresh.customer_id",
            [array_of(moved), array_of(reached[one] for one in moved)],
        )
    return reached
