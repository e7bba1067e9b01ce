"""The login forms of the customer's pages and of the admin: both count attempts."""

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from billing.domain.errors import NotPermitted
from billing.services import clock, logins

if TYPE_CHECKING:
    # Unfold ships no types; its form is Django's with other classes on its inputs.
    from django.contrib.admin.forms import AdminAuthenticationForm as _AdminForm
else:
    from unfold.forms import AuthenticationForm as _AdminForm


class LoginForm(AuthenticationForm):
    """Looks at a password only while neither the account nor the address tried too often."""

    def clean(self) -> dict[str, Any]:
        username = self.cleaned_data.get("username") or ""
        if not username or not self.cleaned_data.get("password"):
            return super().clean()
        try:
            logins.begin(username=username, address=address_of(self.request), now=clock.real_now())
        except NotPermitted as error:
            raise ValidationError(error.detail, code=error.code) from error
        found = super().clean()
        logins.succeed(username=username)
        return found


class AdminLoginForm(LoginForm, _AdminForm):
    """The same for the admin."""


def address_of(request: HttpRequest | None) -> str:
    """The address that a request comes from.

    Behind proxies it is what the outermost of ours saw: of X-Forwarded-For, which anybody may
    begin as they like, only as many entries are believed as there are proxies of ours.
    """
    if request is None:
        return ""
    said = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    proxies = settings.TRUSTED_PROXIES
    seen = said[-proxies] if 0 < proxies <= len(said) else ""
    return (seen or request.META.get("REMOTE_ADDR", ""))[:64]
