"""Who is at work on an invoice at Stripe: a lease on its row, in real time.

A lock would have to be held over the network; a lease runs out by itself when its holder dies.
Two holders at once (a lease that ran out under a slow call) do no harm: every call has a key that
both share. The lease only saves them the trouble.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet

from billing.models import Invoice
from billing.services import clock

# Longer than any single call of the gateway with its retries.
LEASE = timedelta(seconds=180)


class LeaseLost(Exception):
    """Somebody else took the invoice over: stop, and leave it to them."""


@dataclass(slots=True)
class Lease:
    """The right to push one invoice until an instant, which also names the holder."""

    invoice_id: UUID
    until: datetime

    def renew(self) -> None:
        """Begin the time anew, before each call to Stripe."""
        until = clock.real_now() + LEASE
        if not self._mine().update(push_leased_until=until):
            raise LeaseLost
        self.until = until

    def record(self, **fields: object) -> None:
        """Write progress of the push, if the invoice is still ours to push."""
        if not self._mine().update(**fields):
            raise LeaseLost

    def release(self) -> None:
        """Let the next one in; a no-op when the lease is lost."""
        self._mine().update(push_leased_until=None)

    def _mine(self) -> QuerySet[Invoice]:
        return Invoice.objects.filter(pk=self.invoice_id, push_leased_until=self.until)


def take(*, invoice_id: UUID) -> Lease | None:
    """A lease on the invoice, or None while somebody else has one."""
    now = clock.real_now()
    free = Q(push_leased_until=None) | Q(push_leased_until__lte=now)
    taken = Invoice.objects.filter(free, pk=invoice_id).update(push_leased_until=now + LEASE)
    return Lease(invoice_id, now + LEASE) if taken else None
