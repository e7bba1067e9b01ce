"""`manage.py close_quarters --as-of INSTANT`: what the daily job does, by hand."""

import json
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.domain.errors import BillingError
from billing.services import clock, invoice_push
from commits.services import closes


class Command(BaseCommand):
    help = "Plan, approve by rule, post and invoice every quarter due at an instant."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--as-of", help="RFC 3339; default: now")
        parser.add_argument("--commit", help="only this commit's chain")

    def handle(self, *args: Any, **options: Any) -> None:
        now = clock.now()
        try:
            as_of = datetime.fromisoformat(options["as_of"]) if options["as_of"] else now
        except ValueError as error:
            raise CommandError(f"--as-of: {error}") from error
        if as_of.tzinfo is None:
            raise CommandError("--as-of: an instant needs its offset, such as Z")
        try:
            rows = closes.run_closes(as_of=as_of, now=now, commit_id=options["commit"])
        except BillingError as error:
            raise CommandError(f"{error.code}: {error.detail}") from error
        for row in rows:
            self.stdout.write(
                json.dumps(
                    {
                        "commit": str(row.commit_id),
                        "quarter": row.quarter_index,
                        "state": row.state,
                        "needs_human": list(row.needs_human),
                    }
                )
            )
        invoice_push.push_due_invoices(now=now)
