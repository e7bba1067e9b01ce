"""`manage.py archive_usage 2025-01 [2025-02 ...]`: see services/archiving.py. `--check` reads all
files back and compares them with what is on record, `--restore 2025-01` puts a month back."""

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.domain.errors import BillingError
from billing.services import clock
from metering.services import archiving, restoring


class Command(BaseCommand):
    help = "Move the words of events that arrived in old months into Parquet files, or back."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("months", nargs="*", metavar="YYYY-MM")
        parser.add_argument("--to", default="", help="the archive's directory (DATA_DIR/archive)")
        parser.add_argument("--restore", default="", metavar="YYYY-MM", help="put a month back")
        parser.add_argument("--check", action="store_true", help="read the files back")

    def handle(self, *args: Any, **options: Any) -> None:
        directory = Path(options["to"] or Path(settings.DATA_DIR) / "archive")
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise CommandError("archiving needs pyarrow: requirements-archive.lock") from error
        try:
            for month in options["months"]:
                archive = archiving.archive_month(
                    month=archiving.month_of(month), directory=directory, now=clock.now()
                )
                said = f"{archive.row_count} events in {archive.file}" if archive else "nothing"
                self.stdout.write(f"{month}: {said}")
            if month := options["restore"]:
                archive = restoring.restore_month(
                    month=archiving.month_of(month), directory=directory, now=clock.now()
                )
                self.stdout.write(f"{month}: {archive.row_count} events from {archive.file}")
        except BillingError as error:
            raise CommandError(error.detail) from error
        if options["check"]:
            problems = archiving.archive_problems(directory=directory)
            for problem in problems:
                self.stdout.write(f"PROBLEM {problem}")
            if problems:
                sys.exit(1)
            self.stdout.write("every archive is as recorded")
