"""The content security policy of every answer that has not stated its own.

The customer's pages, and what is not found beside them, need a style sheet and pictures of our own
(commits/web/access.py). The admin runs Unfold's scripts from
our own address: Alpine evaluates the expressions in its markup and both set styles, so it needs
`unsafe-eval` and inline styles, and nothing else: no inline script, nothing from elsewhere.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from commits.web.access import CONTENT_SECURITY_POLICY

HEADER = "Content-Security-Policy"
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
ADMIN = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


class ContentSecurityMiddleware:
    """Puts the header on answers."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault(HEADER, policy_for(request.path))
        return response


def policy_for(path: str) -> str:
    """What the part of the service that answers at an address needs."""
    if path.startswith("/admin/"):
        return ADMIN
    if path.startswith("/api/") or path == "/healthz":
        return NOTHING
    return CONTENT_SECURITY_POLICY
