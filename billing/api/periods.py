"""The addresses of accounting periods: lock a month; unlock it, asked for by one, by another."""

import re
from datetime import date
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.authentication import actor_of
from billing.api.base import LedgerView
from billing.api.fields import InstantField, StrictSerializer, TextField
from billing.api.idempotency import idempotent
from billing.api.pagination import ordered_by
from billing.api.permissions import IsFinance
from billing.api.serializers import RejectionIn
from billing.domain.errors import InvalidInput
from billing.models import AccountingPeriod, PeriodUnlock
from billing.services import accounting_periods, clock

_MONTH = re.compile(r"(\d{4})-(\d{2})")


class MonthIn(StrictSerializer):
    """A month of the calendar."""

    month = TextField(max_length=7)


class UnlockIn(StrictSerializer):
    """Why a locked month has to be open again."""

    reason = TextField(max_length=accounting_periods.REASON_LENGTH)


class UnlockOut(serializers.Serializer[PeriodUnlock]):
    """A request to unlock a month."""

    id = serializers.UUIDField()
    month = serializers.CharField()
    reason = serializers.CharField()
    state = serializers.ChoiceField(choices=["requested", "approved", "rejected"])
    requested_at = InstantField()
    requested_by = serializers.CharField()
    decided_at = InstantField(allow_null=True)
    decided_by = serializers.CharField(allow_null=True)
    rejected_because = serializers.CharField(allow_null=True)


class PeriodOut(serializers.Serializer[AccountingPeriod]):
    """One time that a month was locked."""

    month = serializers.CharField()
    state = serializers.ChoiceField(choices=["locked", "unlocked"])
    locked_at = InstantField()
    locked_by = serializers.CharField()
    unlocked_at = InstantField(allow_null=True)
    unlocks = UnlockOut(many=True)


class PeriodsView(LedgerView):
    """Months that are or were locked, the latest first."""

    permission_classes = (IsFinance,)
    pagination_class = ordered_by("-month", "-id")

    @extend_schema(operation_id="accounting_periods_list", responses=PeriodOut(many=True))
    def get(self, request: Request) -> Response:
        found = AccountingPeriod.objects.prefetch_related("unlocks")
        return self.page(request, found, period_body)

    @extend_schema(
        operation_id="accounting_periods_lock", request=MonthIn, responses={201: PeriodOut}
    )
    @idempotent
    def post(self, request: Request) -> Response:
        given = MonthIn.parse(request.data)
        actor = actor_of(request)
        period = accounting_periods.lock_month(
            month=month_of(given["month"]),
            actor=actor.user,
            actor_name=actor.name,
            now=clock.now(),
        )
        return Response(period_body(period), status=201)


class PeriodUnlockView(LedgerView):
    """Ask to unlock a month."""

    permission_classes = (IsFinance,)

    @extend_schema(
        operation_id="accounting_period_unlock", request=UnlockIn, responses={201: UnlockOut}
    )
    @idempotent
    def post(self, request: Request, month: str) -> Response:
        given = UnlockIn.parse(request.data)
        actor = actor_of(request)
        unlock = accounting_periods.request_unlock(
            period_id=accounting_periods.locked_period(month=month_of(month)).pk,
            reason=given["reason"],
            actor=actor.user,
            actor_name=actor.name,
            now=clock.now(),
        )
        return Response(unlock_body(unlock), status=201)


class UnlockApproveView(LedgerView):
    """Unlock: by another than who asked."""

    permission_classes = (IsFinance,)

    @extend_schema(operation_id="period_unlock_approve", request=None, responses=UnlockOut)
    def post(self, request: Request, unlock_id: UUID) -> Response:
        actor = actor_of(request)
        unlock = accounting_periods.approve_unlock(
            unlock_id=unlock_id, actor=actor.user, actor_name=actor.name, now=clock.now()
        )
        return Response(unlock_body(unlock))


class UnlockRejectView(LedgerView):
    """Leave the month locked."""

    permission_classes = (IsFinance,)

    @extend_schema(operation_id="period_unlock_reject", request=RejectionIn, responses=UnlockOut)
    def post(self, request: Request, unlock_id: UUID) -> Response:
        actor = actor_of(request)
        unlock = accounting_periods.reject_unlock(
            unlock_id=unlock_id,
            actor=actor.user,
            actor_name=actor.name,
            now=clock.now(),
            why=RejectionIn.parse(request.data or {})["reason"],
        )
        return Response(unlock_body(unlock))


def month_of(text: str) -> date:
    """The first day of a month given as `2026-03`. Raises InvalidInput `invalid_month`."""
    found = _MONTH.fullmatch(text)
    year, month = (int(found[1]), int(found[2])) if found else (0, 0)
    if year < 2000 or not 1 <= month <= 12:
        raise InvalidInput("invalid_month", "month is a year and a month: 2026-03")
    return date(year, month, 1)


def period_body(period: AccountingPeriod) -> dict[str, Any]:
    """A period as PeriodOut describes it."""
    instant = InstantField().to_representation
    return {
        "month": str(period),
        "state": "unlocked" if period.unlocked_at else "locked",
        "locked_at": instant(period.locked_at),
        "locked_by": period.locked_by,
        "unlocked_at": instant(period.unlocked_at) if period.unlocked_at else None,
        "unlocks": [unlock_body(one) for one in period.unlocks.all()],
    }


def unlock_body(unlock: PeriodUnlock) -> dict[str, Any]:
    """A request to unlock as UnlockOut describes it."""
    instant = InstantField().to_representation
    return {
        "id": str(unlock.pk),
        "month": str(unlock.period),
        "reason": unlock.reason,
        "state": unlock.state,
        "requested_at": instant(unlock.requested_at),
        "requested_by": unlock.requested_by,
        "decided_at": instant(unlock.decided_at) if unlock.decided_at else None,
        "decided_by": unlock.decided_by or None,
        "rejected_because": unlock.rejected_because or None,
    }
