"""Who may do what in the admin, and how an act of the admin is run.

Controllers (the group that `create_api_key` makes) and superusers act; other staff see what
their Django permissions let them see.
"""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from billing.domain.errors import BillingError
from billing.services import api_keys
from billing.tasks import push_due_invoices


def is_controller(request: HttpRequest) -> bool:
    """Whether this request comes from finance with the right to act."""
    user = request.user
    if not isinstance(user, User):
        return False
    known: bool | None = getattr(user, "_is_controller", None)
    if known is None:
        known = api_keys.is_controller(user=user)
        user._is_controller = known  # type: ignore[attr-defined]  # Asked once a request.
    return known


def require_controller(request: HttpRequest) -> None:
    """Refuse with 403 whoever may not act."""
    if not is_controller(request):
        raise PermissionDenied


def user_of(request: HttpRequest) -> User | None:
    """The user to name in the audit trail."""
    return request.user if isinstance(request.user, User) else None


def actor_of(request: HttpRequest) -> str:
    """The name that maker-checker and the audit trail know this user by."""
    return str(request.user.get_username())


def attempt(request: HttpRequest, act: Callable[[], Any], done: str) -> bool:
    """Run one service call; say what was done, or why it was refused. Whether it was done."""
    try:
        act()
    except BillingError as error:
        messages.error(request, f"Nothing was changed: {refusal(error)}")
        return False
    messages.success(request, done)
    return True


def push_soon() -> None:
    """Let a worker send drafts on their way to Stripe now; the beat would find them anyway."""
    push_due_invoices.delay()


def refusal(error: BillingError) -> str:
    """What a user reads when a service refuses."""
    if error.code == "maker_is_checker":
        return f"{error.detail} (four eyes: another finance user must approve it)."
    if error.code == "plan_changed":
        return f"{error.detail}. Look at the figures below, which are current, and approve those."
    return f"{error.detail} [{error.code}]"
