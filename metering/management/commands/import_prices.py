"""`manage.py import_prices --provider together`: real list prices into the price book.

May be run again at any time: what is in the book already is left alone.
"""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.domain.errors import BillingError
from billing.services import audit, clock
from metering.services.price_book import add_prices
from metering.services.published_prices import published_prices


class Command(BaseCommand):
    help = "Import a provider's published list prices (from genai-prices), exactly."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--provider", required=True, help="such as together or fireworks")
        parser.add_argument(
            "--effective-at",
            help="from when prices new to the book count: a whole UTC hour (RFC 3339);"
            " without it, the start of this year",
        )
        parser.add_argument("--models", nargs="+", help="only these; without it, all")

    def handle(self, *args: Any, **options: Any) -> None:
        now = clock.now()
        try:
            effective_at = _instant(options["effective_at"], now)
            found = published_prices(
                provider=options["provider"],
                models=options["models"],
                effective_at=effective_at,
                now=now,
            )
            written = add_prices(
                prices=found.prices,
                actor_name=audit.SYSTEM,
                source=f"genai-prices: {options['provider']}",
                now=now,
            )
        except BillingError as error:
            raise CommandError(f"{error.code}: {error.detail}") from error
        for model, reason in found.skipped:
            self.stdout.write(f"skipped {model}: {reason}")
        models = len({price.model for price in found.prices})
        self.stdout.write(f"{written} prices of {models} models written, the rest was there")


def _instant(text: str | None, now: datetime) -> datetime:
    if text is None:
        return datetime(now.year, 1, 1, tzinfo=UTC)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is not an instant such as 2026-01-01T00:00:00Z") from error
    if instant.tzinfo is None:
        raise CommandError(f"{text!r} has no time zone")
    return instant.astimezone(UTC)
