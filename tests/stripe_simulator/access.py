"""Who may call: a secret test key, and the refusals for those without one or too fast."""

from __future__ import annotations

import base64

from .errors import StripeFailure, unauthorized

KEY_PREFIXES = ("sk_test_", "rk_test_")


def require_key(authorization: str) -> None:
    """A secret test key, as Bearer or as the user of Basic."""
    scheme, _, credentials = authorization.partition(" ")
    key = credentials.strip()
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(key).decode().split(":", 1)[0]
        except ValueError:
            key = ""
    if not key:
        raise unauthorized(
            "You did not provide an API key. You need to provide your API key in the Authorization "
            "header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See "
            "https://stripe.com/docs/api#authentication for details, or we can help at "
            "https://support.stripe.com/."
        )
    if not key.startswith(KEY_PREFIXES):
        raise unauthorized(f"Invalid API Key provided: {key[:7]}***{key[-4:]}")


def rate_limited() -> StripeFailure:
    """Stripe's 429, which is never kept."""
    return StripeFailure(
        429,
        "Request rate limit exceeded. Learn more about rate limits here "
        "https://stripe.com/docs/rate-limits.",
        code="rate_limit",
    )
