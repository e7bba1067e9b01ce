"""What an increase would change, worked out on the real books and then rolled back."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from billing.domain.errors import Conflict
from billing.domain.money import ZERO
from commits.domain.chain import GrantKind
from commits.domain.close import BillKind, ClosePlan
from commits.models import Commit, Grant, Quarter, QuarterState
from commits.services.balances import read_balance
from commits.services.closes import preview_close
from commits.services.true_ups import TrueUpRequest, approve_true_up_in, request_true_up


def digest_of(*shown: object) -> str:
    """What tells whether a preview still says what somebody has looked at."""
    return hashlib.sha256(json.dumps(shown, default=str).encode()).hexdigest()


def refuse_changed(*, expected: str | None, digest: str) -> None:
    """Conflict `preview_changed` where the effect is not the one that was looked at any more."""
    if expected is not None and expected != digest:
        raise Conflict(
            "preview_changed",
            "what it changes is not what was shown any more: look at the effect again",
        )


MAKER, CHECKER = "preview:maker", "preview:checker"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to come: this quarter's invoice, the next instalments, the day it runs out."""

    quarter_index: int
    invoice_cents: int
    instalments_billed_cents: int
    true_ups_billed_cents: int
    overage: Decimal
    available: Decimal
    runs_out_at: datetime | None
    instalments: tuple[tuple[int, Decimal], ...]


@dataclass(frozen=True, slots=True)
class TrueUpPreview:
    """The outlook without and with the true-up. `saves_nothing`: at the same discount, plain
    overage would cost no more."""

    before: Outlook
    after: Outlook
    saves_nothing: bool
    words: str


class _RollBackError(Exception):
    """Carries the outlook out of the database transaction that is given up."""

    def __init__(self, outlook: Outlook) -> None:
        super().__init__()
        self.outlook = outlook


def preview_true_up(*, commit_id: UUID, request: TrueUpRequest, now: datetime) -> TrueUpPreview:
    """The effect of a true-up if it were approved now. Changes nothing.

    Raises what requesting and approving it would raise.
    """
    before = outlook(commit_id=commit_id, now=now)
    try:
        with transaction.atomic():
            true_up = request_true_up(commit_id=commit_id, request=request, actor=MAKER, now=now)
            approve_true_up_in(true_up_id=true_up.pk, actor=CHECKER, now=now)
            raise _RollBackError(outlook(commit_id=commit_id, now=now))
    except _RollBackError as given_up:
        after = given_up.outlook
    same_rate = request.discount is None
    words = (
        "Saves nothing against plain overage: overage is billed at the same committed rate."
        if same_rate
        else "The better discount lowers the rate of all usage from its start on."
    )
    return TrueUpPreview(before, after, same_rate, words)


def outlook(*, commit_id: UUID, now: datetime) -> Outlook:
    """What the running quarter comes to as of now, and the instalments after it."""
    commit = Commit.objects.select_related("customer").get(pk=commit_id)
    balance = read_balance(customer=commit.customer, commit_id=commit_id, now=now)
    plan = running_plan(balance.quarter)
    following = Quarter.objects.filter(
        commit=commit_id, index__gt=balance.quarter.index, is_tail=False
    )
    instalments = dict(
        Grant.objects.filter(quarter__in=following, kind=GrantKind.INSTALMENT).values_list(
            "quarter__index", "amount"
        )
    )
    return Outlook(
        quarter_index=balance.quarter.index,
        invoice_cents=plan.total_cents if plan else 0,
        instalments_billed_cents=_billed(plan, BillKind.INSTALMENT),
        true_ups_billed_cents=_billed(plan, BillKind.TRUE_UP),
        overage=plan.figures.overage if plan else ZERO,
        available=balance.available,
        runs_out_at=balance.runs_out_at,
        instalments=tuple(sorted(instalments.items())),
    )


def running_plan(quarter: Quarter) -> ClosePlan | None:
    """The close of a quarter as it would be now; None once it has been posted."""
    if quarter.state == QuarterState.POSTED:
        return None
    return preview_close(commit_id=quarter.commit_id, index=quarter.index)[1]


def _billed(plan: ClosePlan | None, kind: BillKind) -> int:
    return sum(line.cents for line in plan.lines if line.kind is kind) if plan else 0
