"""Clients of the REST API in the process of the test, each with a new key of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rest_framework.test import APIClient

from billing.models import ApiKeyKind
from billing.services import api_keys


def api_client(
    kind: ApiKeyKind,
    *,
    now: datetime,
    name: str = "",
    raise_request_exception: bool = True,
    **owner: Any,
) -> APIClient:
    """A client with a key of this kind: of the controller `name`, or of the `user` or `customers`
    that `owner` names."""
    if name:
        owner["user"] = api_keys.ensure_controller(name=name)
    made = api_keys.create_api_key(kind=kind, now=now, **owner)
    return APIClient(
        raise_request_exception=raise_request_exception,
        headers={"Authorization": f"Bearer {made.text}"},
    )
