"""The audit trail: who did what to which object, when and why."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser

from billing.models import AuditEvent

SYSTEM = "system"


def record(
    *,
    at: datetime,
    actor_name: str,
    actor: AbstractBaseUser | None = None,
    action: str,
    object_type: str,
    object_ref: str,
    customer_key: str = "",
    details: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """Write one event, in the caller's database transaction: an act and its trace stand together.

    `actor` is None for the service itself and for customers' keys; `actor_name` always says who.
    """
    event = trace(
        at=at,
        actor_name=actor_name,
        actor=actor,
        action=action,
        object_type=object_type,
        object_ref=object_ref,
        customer_key=customer_key,
        details=details,
    )
    event.save(force_insert=True)
    return event


def trace(
    *,
    at: datetime,
    actor_name: str,
    actor: AbstractBaseUser | None = None,
    action: str,
    object_type: str,
    object_ref: str,
    customer_key: str = "",
    details: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """The event that `record` writes, not written yet: for acts that are written in sets."""
    return AuditEvent.fresh(
        at=at,
        actor_id=actor.pk if actor is not None else None,
        actor_name=actor_name,
        action=action,
        object_type=object_type,
        object_ref=object_ref,
        customer_key=customer_key,
        details=dict(details or {}),
    )
