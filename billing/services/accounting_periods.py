"""Locking a month of the books, and unlocking it again, which takes two people and a reason.

Nothing is dated in a locked month: the database refuses it, and `ledger.first_open_date` finds
the day that entries get instead. Corrections of a locked month so land in the open one.
"""

from datetime import UTC, date, datetime
from uuid import UUID, uuid4

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction

from billing.domain.errors import Conflict, InvalidInput, NotFound
from billing.models import AccountingPeriod, PeriodUnlock, RequestState
from billing.services import audit, two_people

REASON_LENGTH = 300


def lock_month(
    *, month: date, actor_name: str, now: datetime, actor: AbstractBaseUser | None = None
) -> AccountingPeriod:
    """Lock the month of that day. A locked one is answered as it is.

    Waits for entries that are being booked into it. Raises Conflict `month_not_over` before its
    last day (UTC) has passed: what is booked today has to have its own date.
    """
    first = month.replace(day=1)
    if first >= now.astimezone(UTC).date().replace(day=1):
        raise Conflict("month_not_over", f"{first:%Y-%m} is not over yet.")
    with transaction.atomic():
        period, is_new = AccountingPeriod.objects.get_or_create(
            month=first, unlocked_at=None, defaults={"locked_at": now, "locked_by": actor_name}
        )
        if is_new:
            _record(period, "lock", actor_name, now, actor)
    return period


def locked_period(*, month: date) -> AccountingPeriod:
    """The lock of the month of that day. Raises NotFound `period_not_locked`."""
    first = month.replace(day=1)
    found = AccountingPeriod.objects.filter(month=first, unlocked_at=None).first()
    if found is None:
        raise NotFound("period_not_locked", f"{first:%Y-%m} is not locked.")
    return found


def request_unlock(
    *,
    period_id: int,
    reason: str,
    actor_name: str,
    now: datetime,
    actor: AbstractBaseUser | None = None,
) -> PeriodUnlock:
    """Ask that a locked month be unlocked.

    Raises InvalidInput `reason_needed`; Conflict `period_not_locked`, `unlock_requested` while
    another request waits; NotFound.
    """
    if not 1 <= len(reason.strip()) <= REASON_LENGTH:
        raise InvalidInput("reason_needed", f"Say why, in 1 to {REASON_LENGTH} characters.")
    try:
        with transaction.atomic():
            period = _locked_row(period_id)
            return two_people.ask(
                PeriodUnlock(id=uuid4(), period=period, reason=reason.strip()),
                actor=actor,
                actor_name=actor_name,
                now=now,
            )
    except IntegrityError as error:
        raise Conflict("unlock_requested", "Somebody has asked to unlock it already.") from error


def approve_unlock(
    *, unlock_id: UUID, actor_name: str, now: datetime, actor: AbstractBaseUser | None = None
) -> PeriodUnlock:
    """Unlock the month: entries may be dated in it again until it is locked anew.

    Doing it again returns the approved request. Raises NotPermitted `maker_is_checker`;
    Conflict `not_open`, `period_not_locked`; NotFound.
    """
    with transaction.atomic():
        unlock = two_people.find(PeriodUnlock, unlock_id, lock=True, related=("period",))
        if not two_people.may_approve(unlock, actor_name=actor_name):
            return unlock
        period = _locked_row(unlock.period_id)
        two_people.approve(unlock, actor=actor, actor_name=actor_name, now=now)
        period.unlocked_at = now
        period.save(update_fields=["unlocked_at"])
        _record(period, "unlock", actor_name, now, actor)
    return unlock


def reject_unlock(
    *,
    unlock_id: UUID,
    actor_name: str,
    now: datetime,
    why: str = "",
    actor: AbstractBaseUser | None = None,
) -> PeriodUnlock:
    """The month stays locked. Doing it again returns the rejected request. Conflict, NotFound."""
    with transaction.atomic():
        unlock = two_people.find(PeriodUnlock, unlock_id, lock=True, related=("period",))
        return two_people.reject(unlock, actor=actor, actor_name=actor_name, now=now, why=why)


def waiting_unlock(*, period: AccountingPeriod) -> PeriodUnlock | None:
    """The request to unlock a month that waits for its second person."""
    return period.unlocks.filter(state=RequestState.REQUESTED).first()


def _locked_row(period_id: int) -> AccountingPeriod:
    period = AccountingPeriod.objects.select_for_update().filter(pk=period_id).first()
    if period is None:
        raise NotFound("unknown_period", f"no accounting period {period_id}")
    if period.unlocked_at is not None:
        raise Conflict("period_not_locked", f"{period} is not locked any more.")
    return period


def _record(
    period: AccountingPeriod,
    action: str,
    actor_name: str,
    now: datetime,
    actor: AbstractBaseUser | None,
) -> None:
    audit.record(
        at=now,
        actor=actor,
        actor_name=actor_name,
        action=action,
        object_type="accounting_period",
        object_ref=str(period),
    )
