"""Lets requests that wait at the same moment share one database transaction.

A transaction costs a lock a customer, a rollup row an hour and model, and a sync of the disk,
however few events it carries; requests of this process that come while one is under way share the
next. So a service under load takes larger steps, not more of them. Each request is answered once
what it brought is durable, with its own counts; where a joint transaction fails, each is tried
alone, unless it is the database that is busy or away.
"""

import threading
from collections import deque
from dataclasses import dataclass, field

from django.db import OperationalError

from metering.services import storing, usage_deltas
from metering.services.batches import Batch, IngestResult

MOST_EVENTS = 10_000  # of one transaction, unless a single request brings more


@dataclass(slots=True, eq=False)
class _Waiting:
    """A request in the queue. Its `turn` comes when it is answered, or when it is to lead."""

    batch: Batch
    turn: threading.Event = field(default_factory=threading.Event)
    result: IngestResult | None = None
    error: Exception | None = None


class Intake:
    """A queue whose first waiter does the work of those behind it, and then hands over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._is_led = False

    def accept(self, batch: Batch) -> IngestResult:
        """Store a batch: what became of it. Raises what its transaction raised."""
        if not len(batch.columns):
            return batch.result
        mine = _Waiting(batch)
        with self._lock:
            self._queue.append(mine)
            waits, self._is_led = self._is_led, True
        if waits:
            mine.turn.wait()
        if mine.result is None and mine.error is None:
            self._lead(mine)
            usage_deltas.fold_when_due()
        if mine.error is not None:
            raise mine.error
        if mine.result is None:
            raise AssertionError("unreachable")
        return mine.result

    def _lead(self, mine: _Waiting) -> None:
        """Store as many as may share, from the head of the queue, which is `mine`."""
        with self._lock:
            taken = [self._queue.popleft()]
            events = len(mine.batch.columns)
            while self._queue and events + len(self._queue[0].batch.columns) <= MOST_EVENTS:
                taken.append(self._queue.popleft())
                events += len(taken[-1].batch.columns)
        try:
            _store(taken)
        finally:
            for one in taken[1:]:
                if one.result is None and one.error is None:  # We are being torn down.
                    one.error = RuntimeError("the request that led was cut off")
                one.turn.set()
            with self._lock:
                heir = self._queue[0] if self._queue else None
                self._is_led = heir is not None
            if heir is not None:
                heir.turn.set()


def _store(taken: list[_Waiting]) -> None:
    try:
        results = storing.store([one.batch for one in taken])
    except OperationalError as error:
        # The database is busy or away: not the fault of one of them, and no better for one alone.
        for one in taken:
            one.error = OperationalError(*error.args)
        return
    except storing.Unsettled:
        for one in taken:
            _store([one])
        return
    except Exception as error:
        if len(taken) == 1:
            taken[0].error = error
            return
        for one in taken:
            _store([one])
        return
    for one, result in zip(taken, results, strict=True):
        one.result = result


intake = Intake()
