"""API keys: made, shown once, recognised, revoked.

A key reads `agent_<public id>_<secret>` (`cust_`, `fin_`). The public id finds the row; of the
secret, 256 random bits, only the SHA-256 is kept, which is enough for a secret that nobody chose.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser, Group, User
from django.db import transaction

from billing.domain.errors import InvalidInput
from billing.models import ApiKey, ApiKeyKind, Customer
from billing.services import audit
from billing.services.prepared import server_cursor

CONTROLLER = "controller"
PREFIXES = {ApiKeyKind.AGENT: "agent", ApiKeyKind.CUSTOMER: "cust", ApiKeyKind.FINANCE: "fin"}
# `last_used_at` is for humans: writing it on every request would make each one a write.
_LAST_USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key just made; `text` is the only time that anyone sees the secret."""

    key: ApiKey
    text: str


def create_api_key(
    *,
    kind: ApiKeyKind,
    now: datetime,
    customers: Sequence[Customer] = (),
    user: User | None = None,
    name: str = "",
    expires_at: datetime | None = None,
    actor: AbstractBaseUser | None = None,
    actor_name: str = audit.SYSTEM,
) -> NewApiKey:
    """A new key. An agent's may be limited to customers; a customer's has exactly one; finance's
    belongs to an active staff user, who is the actor of all that is done with it."""
    _require_owner(kind, customers, user)
    secret = secrets.token_hex(32)
    with transaction.atomic():
        key = ApiKey.objects.create(
            kind=kind,
            name=name,
            public_id=secrets.token_hex(8),
            secret_digest=_digest(secret),
            customer=customers[0] if kind == ApiKeyKind.CUSTOMER else None,
            user=user if kind == ApiKeyKind.FINANCE else None,
            created_at=now,
            expires_at=expires_at,
        )
        if kind == ApiKeyKind.AGENT:
            key.allowed_customers.set(customers)
        _audit(key, "api_key.created", now, actor, actor_name)
    return NewApiKey(key, f"{PREFIXES[kind]}_{key.public_id}_{secret}")


def _require_owner(kind: ApiKeyKind, customers: Sequence[Customer], user: User | None) -> None:
    if kind == ApiKeyKind.CUSTOMER and len(customers) != 1:
        raise InvalidInput("one_customer_needed", "A customer key belongs to one customer.")
    if kind == ApiKeyKind.FINANCE and customers:
        raise InvalidInput("no_customer_wanted", "A finance key is not limited to customers.")
    if (kind == ApiKeyKind.FINANCE) != (user is not None):
        raise InvalidInput("user_needed", "A finance key, and only that, belongs to a user.")
    if user is not None and not (user.is_active and user.is_staff):
        raise InvalidInput("user_is_not_staff", f"{user} is not an active staff user.")


def authenticate(*, presented: str, now: datetime) -> ApiKey | None:
    """The live key that `presented` is, with its customer and user; None for anything else.

    Takes the same time whether the public id is unknown or the secret wrong. A revoked or expired
    key is none, nor is one whose user has left.
    """
    prefix, _, rest = presented.partition("_")
    public_id, _, secret = rest.partition("_")
    found = (
        _find(public_id, is_agent=prefix == PREFIXES[ApiKeyKind.AGENT])
        if public_id.isascii() and public_id.isalnum()
        else None
    )
    expected = found.secret_digest if found is not None else "0" * 64
    matches = hmac.compare_digest(_digest(secret), expected)
    if found is None or not matches or prefix != PREFIXES[ApiKeyKind(found.kind)]:
        return None
    if found.revoked_at is not None or (found.expires_at is not None and found.expires_at <= now):
        return None
    if found.user is not None and not (found.user.is_active and found.user.is_staff):
        return None
    if found.last_used_at is None or abs(now - found.last_used_at) >= _LAST_USED_EVERY:
        ApiKey.objects.filter(pk=found.pk).update(last_used_at=now)
    return found


# Agents come hundreds of times a second: one query, and nothing remembered, so that a key that is
# revoked anywhere ends everywhere at once.
_AGENT = """
SELECT id, name, secret_digest, created_at, expires_at, revoked_at, last_used_at,
    ARRAY(SELECT customer_id FROM billing_apikey_allowed_customers WHERE apikey_id = key.id)
FROM billing_apikey AS key WHERE public_id = %s AND kind = 'agent'"""


def _find(public_id: str, *, is_agent: bool) -> ApiKey | None:
    """The key with this public id; an agent's with its `allowed_customer_ids`."""
    if not is_agent:
        keys = ApiKey.objects.select_related("customer", "user")
        return keys.filter(public_id=public_id).first()
    with server_cursor() as cursor:
        cursor.execute(_AGENT, [public_id], prepare=True)
        row = cursor.fetchone()
    if row is None:
        return None
    pk, name, digest, created_at, expires_at, revoked_at, last_used_at, allowed = row
    values = {
        "id": pk, "kind": ApiKeyKind.AGENT.value, "name": name, "public_id": public_id,
        "secret_digest": digest, "customer_id": None, "user_id": None, "created_at": created_at,
        "expires_at": expires_at, "revoked_at": revoked_at, "last_used_at": last_used_at,
    }  # fmt: skip
    key = ApiKey.from_db("default", list(values), list(values.values()))
    key.allowed_customer_ids = frozenset(allowed)
    return key


def revoke_api_key(
    *, key: ApiKey, now: datetime, actor: AbstractBaseUser | None, actor_name: str
) -> None:
    """End a key at once and for good; again is a no-op."""
    with transaction.atomic():
        if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now):
            _audit(key, "api_key.revoked", now, actor, actor_name)
    key.refresh_from_db(fields=["revoked_at"])


def ensure_controller(*, name: str) -> User:
    """The staff user of that name with the controller role, made if there is none.

    A user made here has no password: only keys act for it until somebody sets one. An existing
    user without the staff flag is refused, not promoted.
    """
    if not name or len(name) > 150:
        raise InvalidInput("invalid_user_name", "A user name has 1 to 150 characters.")
    with transaction.atomic():
        user, is_new = User.objects.get_or_create(username=name, defaults={"is_staff": True})
        if is_new:
            user.set_unusable_password()
            user.save(update_fields=["password"])
            group, _ = Group.objects.get_or_create(name=CONTROLLER)
            user.groups.add(group)
    return user


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _audit(
    key: ApiKey, action: str, now: datetime, actor: AbstractBaseUser | None, actor_name: str
) -> None:
    audit.record(
        at=now,
        actor=actor,
        actor_name=actor_name,
        action=action,
        object_type="api_key",
        object_ref=str(key),
        customer_key=key.customer.key if key.customer is not None else "",
        details={"name": key.name, "user": str(key.user or "")},
    )


def is_controller(*, user: AbstractBaseUser) -> bool:
    """Whether a staff user may act on the books, and not only look: the role, or a superuser."""
    person = User.objects.filter(pk=user.pk, is_active=True, is_staff=True).first()
    if person is None:
        return False
    return person.is_superuser or person.groups.filter(name=CONTROLLER).exists()
