"""Who is asking: `Authorization: Bearer <key>`, and nothing else (no sessions, no cookies)."""

from dataclasses import dataclass
from typing import cast

from django.contrib.auth.models import User
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from billing.models import ApiKey
from billing.services import api_keys, clock


@dataclass(frozen=True, slots=True)
class KeyPrincipal:
    """Stands where a user would: the bearer of a key that belongs to no user."""

    key: ApiKey
    is_authenticated: bool = True
    is_active: bool = True
    is_staff: bool = False
    is_anonymous: bool = False
    pk: None = None

    @property
    def username(self) -> str:
        """The key's public name."""
        return str(self.key)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, for the audit trail: a staff user, or a key by its public name."""

    user: User | None
    name: str


class ApiKeyAuthentication(BaseAuthentication):
    """Sets `request.user` to the key's staff user or a KeyPrincipal, `request.auth` to the key."""

    def authenticate(self, request: Request) -> tuple[User | KeyPrincipal, ApiKey] | None:
        header = request.headers.get("Authorization", "")
        if not header:
            return None
        scheme, _, presented = header.partition(" ")
        if scheme.lower() != "bearer":
            raise AuthenticationFailed("Use 'Authorization: Bearer <key>'.", "invalid_key")
        key = api_keys.authenticate(presented=presented.strip(), now=clock.now())
        if key is None:
            raise AuthenticationFailed("No such key is in force.", "invalid_key")
        return key.user or KeyPrincipal(key), key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="ledger"'


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Tells the OpenAPI document about it."""

    target_class = "billing.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


def key_of(request: Request) -> ApiKey:
    """The key that the request came with; only for views that need one."""
    return cast(ApiKey, request.auth)


def actor_of(request: Request) -> Actor:
    """Whom the audit trail names for this request."""
    key = key_of(request)
    if key.user is not None:
        return Actor(key.user, key.user.get_username())
    return Actor(None, str(key))
