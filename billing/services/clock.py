"""The one clock of the service.

In a sandbox it can be set: it is a row that says what it showed at which real instant, read anew
every time, so that all processes agree and a restart changes nothing. Only entry code asks it;
services are given `now`. Webhook signatures, leases and broker timeouts use `real_now`.
"""

from datetime import UTC, datetime

from django.conf import settings
from django.db import IntegrityError, transaction

from billing.domain.errors import Conflict, InvalidInput, NotFound
from billing.models import Customer, SandboxClock


def real_now() -> datetime:
    """The real instant, whatever a sandbox shows."""
    return datetime.now(UTC)


def now() -> datetime:
    """The service's instant: the sandbox clock where one is set, else real time."""
    real = real_now()
    if not settings.SANDBOX:
        return real
    clock = SandboxClock.objects.first()
    return real if clock is None else _shown(clock, real)


def _shown(clock: SandboxClock, real: datetime) -> datetime:
    # A machine whose real clock is set back must not turn the sandbox back as well.
    return clock.shows + (max(real, clock.set_at) - clock.set_at)


def set_sandbox_clock(*, to: datetime, real_now: datetime) -> datetime:
    """Let the sandbox clock show `to` from the real instant `real_now` on.

    Any instant while no customer exists; afterwards never back (Conflict `clock_goes_back`).
    Outside a sandbox there is no such clock (NotFound). Runs no jobs: that is the caller's.
    """
    if not settings.SANDBOX:
        raise NotFound("not_found", "This is not a sandbox: its clock is the real one.")
    if to.tzinfo is None:
        raise InvalidInput("invalid_instant", "The instant needs a time zone.")
    to = to.astimezone(UTC)
    try:
        with transaction.atomic():
            clock = SandboxClock.objects.select_for_update().first()
            current = real_now if clock is None else _shown(clock, real_now)
            if to < current and Customer.objects.exists():
                raise Conflict(
                    "clock_goes_back",
                    f"It is {current.isoformat()} and customers exist: the clock only goes on.",
                )
            if clock is None:
                SandboxClock.objects.create(shows=to, set_at=real_now)
            else:
                clock.shows, clock.set_at = to, real_now
                clock.save(update_fields=["shows", "set_at"])
    except IntegrityError as error:
        raise Conflict("clock_is_being_set", "Someone else is setting the clock.") from error
    return to
