"""Customers: who they are. What they promised and used lies in the other apps."""

import re
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from billing.domain.errors import Conflict, InvalidInput, NotFound
from billing.domain.text import has_control_characters
from billing.models import Customer
from billing.services import audit

_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")


def create_customer(
    *,
    key: str,
    name: str,
    email: str,
    timezone: str = "UTC",
    now: datetime,
    actor: AbstractBaseUser | None = None,
    actor_name: str = audit.SYSTEM,
) -> Customer:
    """A new customer. All problems of the input are told at once (InvalidInput
    `invalid_customer`); a key that is taken is a Conflict `customer_exists`."""
    problems = _problems(key, name, email, timezone)
    if problems:
        raise InvalidInput("invalid_customer", "; ".join(problems.values()), errors=problems)
    try:
        with transaction.atomic():
            customer = Customer.objects.create(
                key=key, name=name.strip(), email=email, timezone=timezone, created_at=now
            )
            audit.record(
                at=now,
                actor=actor,
                actor_name=actor_name,
                action="customer.created",
                object_type="customer",
                object_ref=key,
                customer_key=key,
                details={"name": customer.name, "email": email, "timezone": timezone},
            )
    except IntegrityError as error:
        raise Conflict("customer_exists", f"There is a customer {key!r} already.") from error
    return customer


def _problems(key: str, name: str, email: str, timezone: str) -> dict[str, str]:
    problems = {}
    if not _KEY.fullmatch(key):
        problems["key"] = (
            "key: up to 64 lower-case letters, digits, '.', '_' and '-', a letter or digit first"
        )
    if not name.strip() or len(name) > 200:
        problems["name"] = "name: 1 to 200 characters"
    if has_control_characters(name):
        problems["name"] = "name: no line breaks or other control characters"
    try:
        validate_email(email)
    except ValidationError:
        problems["email"] = "email: not an email address"
    if has_control_characters(email):
        problems["email"] = "email: no line breaks or other control characters"
    if len(email) > 254:
        problems["email"] = "email: at most 254 characters"
    if not _is_zone(timezone):
        problems["timezone"] = "timezone: not a time zone of the IANA database"
    return problems


def _is_zone(timezone: str) -> bool:
    # The pattern keeps names such as "../../etc" and "posix/UTC.tab" away from the file system.
    if len(timezone) > 64 or not _ZONE.fullmatch(timezone):
        return False
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return timezone not in {"localtime", "Factory"}


def get_customer(*, key: str) -> Customer:
    """The customer of that key, or NotFound `customer_not_found`."""
    try:
        return Customer.objects.get(key=key)
    except (Customer.DoesNotExist, ValueError) as error:
        raise NotFound("customer_not_found", f"There is no customer {key!r}.") from error


def list_customers() -> QuerySet[Customer]:
    """All customers, by key."""
    return Customer.objects.order_by("key")
