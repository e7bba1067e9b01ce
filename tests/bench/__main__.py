"""Ingest against a binary COPY of the same rows into a bare heap: same server, same run, fsync on.

The request's work is measured at the service, without HTTP: decoding, exactly-once storing, rating
and the rollups, one durable database transaction for each 1,000 events of 50 customers.
"""

import json
import os
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median

from billing.config.launcher import postgres

ROUNDS, BATCHES, EVENTS, CUSTOMERS = 3, 20, 1_000, 50
NOW = datetime(2026, 2, 1, tzinfo=UTC)


def batches(round_number: int) -> list[bytes]:
    """Bodies of token events, spread over customers and minutes."""
    made = []
    for batch in range(BATCHES):
        events = [
            {
                "specversion": "1.0",
                "id": f"{round_number}/{batch}/{number}",
                "source": "bench",
                "subject": f"c{number % CUSTOMERS}",
                "time": (NOW - timedelta(seconds=number)).isoformat(),
                "type": "inference.tokens",
                "data": {
                    "model": "any",
                    "mode": "serverless",
                    "input_tokens": 900 + number,
                    "cached_input_tokens": 300,
                    "output_tokens": 100 + number % 7,
                },
            }
            for number in range(EVENTS)
        ]
        made.append(json.dumps(events).encode())
    return made


def prepare() -> None:
    """Tables, customers with a commit each, and prices."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from tests.commits import world

    world.dollar_prices()
    from metering.services import price_book

    for meter in ("input_tokens", "output_tokens"):
        price_book.add_price(
            model="any",
            mode="serverless",
            meter=meter,
            price=Decimal("0.50"),
            effective_at=datetime(2025, 1, 1, tzinfo=UTC),
            actor_name="bench",
            now=NOW,
        )
    for number in range(CUSTOMERS):
        world.signed(world.make_customer(f"c{number}"))


def ingest_rate(bodies: list[bytes]) -> float:
    """Events a second through the ingest service."""
    from metering.services.ingest import ingest

    begun = time.perf_counter()
    for body in bodies:
        result = ingest(body=body, content_type="application/json", now=NOW)
        if result.accepted != EVENTS:
            sys.exit(f"refused: {result.refused[:1]}")
    return BATCHES * EVENTS / (time.perf_counter() - begun)


def copy_rate() -> float:
    """Rows a second of a binary COPY of the stored events into a logged heap without index."""
    from django.db import connection

    with connection.cursor() as cursor:
        raw = cursor.cursor
        with raw.copy("COPY metering_usageevent TO STDOUT (FORMAT binary)") as out:
            rows = b"".join(out)
        cursor.execute("DROP TABLE IF EXISTS bare_heap")
        cursor.execute("CREATE TABLE bare_heap AS TABLE metering_usageevent WITH NO DATA")
        begun = time.perf_counter()
        with raw.copy("COPY bare_heap FROM STDIN (FORMAT binary)") as into:
            into.write(rows)
        seconds = time.perf_counter() - begun
        cursor.execute("SELECT count(*) FROM bare_heap")
        return float(cursor.fetchone()[0]) / seconds


def main() -> None:
    """Interleave rounds of both, and print the medians as one ratio."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as place,
        postgres.running(Path(place)) as url,
    ):
        os.environ.update(DATABASE_URL=url, DATA_DIR=place, SANDBOX="1")
        os.environ["DJANGO_SETTINGS_MODULE"] = "billing.config.settings"
        prepare()
        pairs = [(ingest_rate(batches(number)), copy_rate()) for number in range(ROUNDS)]
        value, against = (median(side) for side in zip(*pairs, strict=True))
        line = {
            "measure": "ingest_vs_copy",
            "value": round(value),
            "unit": "events/s",
            "against": round(against),
            "ratio": round(value / against, 3),
        }
        sys.stdout.write(json.dumps(line) + "\n")
        from django.db import connections

        connections.close_all()


main()
