"""Four eyes: one person asks, another approves or rejects, and the audit trail tells who did.

The one walk of every request (billing.models.TwoPersonRequest). What an approval means lies with
the kind's own service: between `may_approve` and `approve` it does what was asked for, in one
database transaction with both.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser

from billing.domain.errors import Conflict, NotFound, NotPermitted
from billing.models import RequestState, TwoPersonRequest
from billing.services import audit

R = TypeVar("R", bound=TwoPersonRequest)


def ask(
    asked: R,
    *,
    actor_name: str,
    now: datetime,
    actor: AbstractBaseUser | None = None,
    details: Mapping[str, Any] | None = None,
) -> R:
    """Store a new request. `details` go to the audit trail beside the request's own."""
    asked.requested_at, asked.requested_by = now, actor_name
    asked.save(force_insert=True)
    _record(asked, "request", actor_name, now, actor, details)
    return asked


def find(kind: type[R], pk: UUID, *, lock: bool = False, related: tuple[str, ...] = ()) -> R:
    """The request of that id, its row locked if asked. Raises NotFound `unknown_<kind>`."""
    rows = kind._default_manager.filter(pk=pk)
    if related:
        rows = rows.select_related(*related)
    if lock:
        rows = rows.select_for_update(of=("self",))
    found = rows.first()
    if found is None:
        raise NotFound(f"unknown_{kind.object_type}", f"no {_words(kind)} {pk}")
    return found


def may_approve(asked: TwoPersonRequest, *, actor_name: str) -> bool:
    """Whether there is something to approve: False where it has been, and nothing is left to do.

    Raises Conflict `not_open` once rejected, NotPermitted `maker_is_checker`.
    """
    if asked.state == RequestState.REJECTED:
        raise Conflict("not_open", "the request has been rejected")
    if asked.state != RequestState.REQUESTED:
        return False
    if asked.requested_by == actor_name:
        raise NotPermitted(
            "maker_is_checker", f"whoever asks for a {_words(type(asked))} may not approve it"
        )
    return True


def approve(
    asked: TwoPersonRequest,
    *,
    actor_name: str,
    now: datetime,
    actor: AbstractBaseUser | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write the approval of a locked request that `may_approve` let pass."""
    _decide(asked, RequestState.APPROVED, actor_name, now)
    _record(asked, "approve", actor_name, now, actor, details)


def reject(
    asked: R,
    *,
    actor_name: str,
    now: datetime,
    why: str = "",
    actor: AbstractBaseUser | None = None,
) -> R:
    """Decline a locked request; again changes nothing. Whoever asked may take it back so.

    Raises Conflict `not_open` once approved.
    """
    if asked.state == RequestState.REQUESTED:
        asked.rejected_because = why
        _decide(asked, RequestState.REJECTED, actor_name, now)
        _record(asked, "reject", actor_name, now, actor, {"why": why} if why else None)
    elif asked.state != RequestState.REJECTED:
        raise Conflict("not_open", "the request has been approved")
    return asked


def _decide(asked: TwoPersonRequest, state: RequestState, actor_name: str, now: datetime) -> None:
    asked.state, asked.decided_by, asked.decided_at = state, actor_name, now
    asked.save()


def _record(
    asked: TwoPersonRequest,
    action: str,
    actor_name: str,
    now: datetime,
    actor: AbstractBaseUser | None,
    details: Mapping[str, Any] | None,
) -> None:
    audit.record(
        at=now,
        actor=actor,
        actor_name=actor_name,
        action=action,
        object_type=asked.object_type,
        object_ref=str(asked.pk),
        customer_key=asked.customer_key,
        details={**asked.audit_details(), **(details or {})},
    )


def _words(kind: type[TwoPersonRequest]) -> str:
    return kind.object_type.replace("_", " ")
