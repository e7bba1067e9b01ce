"""One step of an invoice's way to Stripe, done surely and once.

The payload is stored before it is sent, under a key that follows from (invoice, step, epoch).
An answer that was lost less than 23 hours ago is asked for again with the same key: Stripe keeps
keys for a day. After that, and after an error that Stripe keeps for the key as well, only looking
tells what happened: what is found is adopted, and only what is not there is sent under the next
epoch.
"""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from billing.domain.errors import ExternalFailure
from billing.models import Invoice, StripeCall
from billing.services import clock
from billing.services.push_leases import Lease
from billing.services.stripe_payloads import idempotency_key

# Stripe may forget a key after 24 hours; an hour is left for slow clocks and slow calls.
KEY_IS_KEPT = timedelta(hours=23)
# Failures that leave open whether Stripe did it, or that it keeps for no key.
_NOT_ANSWERED = frozenset(
    {"stripe_unreachable", "stripe_rate_limit", "stripe_busy", "stripe_refuses_key"}
)


class Remote(Protocol):
    """Something at Stripe."""

    @property
    def id(self) -> str: ...


Found = TypeVar("Found", bound=Remote)


def do_once(
    *,
    lease: Lease,
    invoice: Invoice,
    step: str,
    payload: Mapping[str, Any],
    send: Callable[[Mapping[str, Any], str], Found],
    find: Callable[[StripeCall], Found | None],
) -> Found:
    """The outcome of a step: sent now, answered again, or found.

    `find` looks at Stripe for what an earlier attempt may have done and answers None if nothing.
    """
    last = StripeCall.objects.filter(invoice=invoice, step=step).order_by("-epoch").first()
    if last is None:
        call = _stored(invoice, step, 1, payload)
    elif last.answered_at is None and clock.real_now() - last.first_sent_at < KEY_IS_KEPT:
        call = last
    else:
        lease.renew()
        found = find(last)
        if found is not None:
            return found
        call = _stored(invoice, step, last.epoch + 1, payload)
    lease.renew()
    try:
        remote = send(json.loads(call.payload), idempotency_key(invoice, step, call.epoch))
    except ExternalFailure as failure:
        if failure.code not in _NOT_ANSWERED:
            _answered(call, f"{failure.code}: {failure.detail}")
        raise
    _answered(call, remote.id)
    return remote


def _stored(invoice: Invoice, step: str, epoch: int, payload: Mapping[str, Any]) -> StripeCall:
    """The call as it will be sent; two workers end up with the same one."""
    call, _ = StripeCall.objects.get_or_create(
        invoice=invoice,
        step=step,
        epoch=epoch,
        defaults={"payload": json.dumps(payload), "first_sent_at": clock.real_now()},
    )
    return call


def _answered(call: StripeCall, answer: str) -> None:
    StripeCall.objects.filter(pk=call.pk).update(answered_at=clock.real_now(), answer=answer[:300])


def first_sent(invoice: Invoice, step: str) -> StripeCall | None:
    """The first attempt at a step, whatever became of it."""
    return StripeCall.objects.filter(invoice=invoice, step=step).order_by("epoch").first()
