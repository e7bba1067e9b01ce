"""`manage.py explain invoice-line|posting|grant ID`: the chain from dollars back to the events."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.domain.errors import BillingError
from commits.api.explanation_bodies import grant_body, line_body, posting_body
from commits.services import explain

_KINDS: dict[str, Any] = {
    "invoice-line": lambda pk: line_body(explain.explain_invoice_line(id=pk)),
    "posting": lambda pk: posting_body(explain.explain_posting(id=pk)),
    "grant": lambda pk: grant_body(explain.explain_grant(id=pk)),
}


class Command(BaseCommand):
    help = "Explain an invoice line, a posting or a grant, down to the events."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=list(_KINDS))
        parser.add_argument("id", type=int)
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            said = _KINDS[options["kind"]](options["id"])
        except BillingError as error:
            raise CommandError(error.detail) from error
        if options["json"]:
            self.stdout.write(json.dumps(said))
            return
        self.stdout.write(f"{options['kind']} {options['id']}")
        for line in outline(said, 1):
            self.stdout.write(line)


def outline(said: Any, depth: int) -> list[str]:
    """Nested answers as indented lines; what is empty is left out."""
    space = "  " * depth
    lines = []
    for name, value in said.items():
        words = name.replace("_", " ")
        if value is None or value in ("", []):
            continue
        if isinstance(value, dict):
            lines += [f"{space}{words}:", *outline(value, depth + 1)]
        elif isinstance(value, list) and isinstance(value[0], dict):
            lines.append(f"{space}{words}:")
            lines += [f"{space}  - {_on_one_line(item)}" for item in value]
        elif isinstance(value, list):
            lines.append(f"{space}{words}: {', '.join(map(str, value))}")
        else:
            lines.append(f"{space}{words}: {value}")
    return lines


def _on_one_line(item: dict[str, Any]) -> str:
    said = []
    for name, value in item.items():
        if value is None or value in ("", []):
            continue
        if isinstance(value, dict):
            value = f"({_on_one_line(value)})"
        elif isinstance(value, list):
            value = " ".join(map(str, value))
        said.append(f"{name.replace('_', ' ')} {value}")
    return ", ".join(said)
