"""`make bench`: everything measured on one machine, one PostgreSQL that syncs to disk, one run."""

import sys
import tempfile
from pathlib import Path

from billing.config.launcher import postgres
from tests.bench import booking, closing, ingest


def main() -> None:
    """Print each line as soon as it is known."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as place,
        postgres.running(Path(place)) as url,
    ):
        for part in (booking.measures, ingest.measures, closing.measures):
            for line in part(url, Path(place)):
                sys.stdout.write(line + "\n")
                sys.stdout.flush()


main()
