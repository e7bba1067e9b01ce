"""Instants in a query string."""

from datetime import UTC, datetime

from billing.api.fields import InstantField

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)


def instant(text: str | None, default: datetime) -> datetime:
    """A date stands for its first UTC instant. In a URL a plus sign may have become a space."""
    if text is None:
        return default
    full = f"{text}T00:00:00Z" if len(text) == len("2026-01-01") else text.replace(" ", "+")
    found: datetime = InstantField().run_validation(full)
    return found
