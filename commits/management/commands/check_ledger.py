"""`manage.py check_ledger`: re-derives every balance from events and journal.

Exits with status 1 and one sentence per problem where anything disagrees.
"""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand

from billing.services import proof as billing_proof
from commits.services import proof as commits_proof
from metering.services import proof as metering_proof


class Command(BaseCommand):
    help = "Re-derive every balance from events and journal; exit 1 if anything disagrees."

    def handle(self, *args: Any, **options: Any) -> None:
        problems = [
            *billing_proof.ledger_problems(),
            *metering_proof.rederive_rollups(),
            *commits_proof.commit_problems(),
        ]
        for problem in problems:
            self.stdout.write(f"PROBLEM {problem}")
        self.stdout.write(json.dumps({"ledger_ok": not problems, "problems": len(problems)}))
        if problems:
            sys.exit(1)
