"""`manage.py check_ledger`: re-derives every balance from events and journal.

Exits with status 1 and one sentence per problem where anything disagrees. The last line is JSON;
`explained_share` is the share of the journal's usage dollars that the events make: "1" is all.
"""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand

from billing.services import proof as billing_proof
from commits.services import proof as commits_proof
from commits.services.explained import explained_share
from metering.services import proof as metering_proof


class Command(BaseCommand):
    help = "Re-derive every balance from events and journal; exit 1 if anything disagrees."

    def handle(self, *args: Any, **options: Any) -> None:
        share = explained_share()
        problems = [
            *billing_proof.ledger_problems(),
            *metering_proof.rederive_rollups(),
            *commits_proof.commit_problems(),
            *share.problems,
        ]
        for problem in problems:
            self.stdout.write(f"PROBLEM {problem}")
        verdict = {
            "ledger_ok": not problems,
            "problems": len(problems),
            "explained_share": share.text,
        }
        self.stdout.write(json.dumps(verdict))
        if problems:
            sys.exit(1)
