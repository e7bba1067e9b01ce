"""Makes an API key and prints it, alone, on the last line: the only time that it is shown."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.domain.errors import BillingError
from billing.models import ApiKeyKind
from billing.services import api_keys, clock, customers


class Command(BaseCommand):
    help = "Make an API key; the key stands alone on the last line and is never shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--kind", required=True, choices=[kind.value for kind in ApiKeyKind])
        parser.add_argument(
            "--customer",
            action="append",
            nargs="+",
            default=[],
            metavar="KEY",
            help="the customer of a customer key; those that an agent's key is limited to",
        )
        parser.add_argument(
            "--user",
            default="",
            help="the staff user of a finance key; made, as a controller, if there is none",
        )
        parser.add_argument("--name", default="", help="what the key is for")

    def handle(self, *args: Any, **options: Any) -> None:
        kind = ApiKeyKind(options["kind"])
        if kind == ApiKeyKind.FINANCE and not options["user"]:
            raise CommandError("a finance key belongs to a staff user: --user NAME")
        if kind != ApiKeyKind.FINANCE and options["user"]:
            raise CommandError("only a finance key belongs to a user")
        try:
            made = api_keys.create_api_key(
                kind=kind,
                now=clock.now(),
                customers=[
                    customers.get_customer(key=key) for keys in options["customer"] for key in keys
                ],
                user=api_keys.ensure_controller(name=options["user"]) if options["user"] else None,
                name=options["name"],
                actor_name="manage.py create_api_key",
            )
        except BillingError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(f"{made.key.get_kind_display()}. Keep it safe: it is not shown again.")
        self.stdout.write(made.text)
