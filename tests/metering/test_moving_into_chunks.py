"""A database of events as rows comes out of the migrations with the same events in chunks."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django.plugin import DjangoDbBlocker

from billing.models import Customer
from metering.domain.reading import EventKeys
from metering.models import RateCard, RateDiscount, UnratedUsage, UsageEvent, UsagePeriod
from metering.services.proof import rederive_rollups
from tests.metering.conftest import APR, FEB, JAN, NOW, list_prices, make_customer
from tests.metering.sending import AT, codes, event, send, tokens, void

SECRET = b"s" * 32
KEYS = EventKeys(SECRET)
TIME = datetime.fromisoformat(AT)
MARCH = datetime(2026, 3, 2, 1, tzinfo=UTC)
COLUMNS = (
    "customer_id, seq, occurred_at, received_at, kind, model, mode, source, input_tokens,"
    " cached_input_tokens, output_tokens, reasoning_tokens, gpu_seconds, busy_gpu_seconds, project,"
    " extra::text"
)
TOKENS, HARDWARE, FURTHER, VOID = 1, 2, 3, 4
LABELS = {"endpoint": "e", "region": "r", "async": True}
RICH = {
    "model": "llama", "mode": "serverless", "input_tokens": 15, "cached_input_tokens": 5,
    "output_tokens": 100, "reasoning_tokens": 3, "project": "p", **LABELS,
}  # fmt: skip
USAGE = {"model": "flux", "mode": "serverless", "quantities": {"images": 4}, **LABELS}
GPU = {"sku": "h100", "mode": "dedicated", "gpu_seconds": 3600, "busy_gpu_seconds": 600}
MANY = 1_001  # more than one chunk holds


@pytest.fixture
def another_database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """An empty database of the test run's server in the place of the usual one."""
    with django_db_blocker.unblock():
        usual = connection.settings_dict["NAME"]
        other = f"before_chunks_{os.getpid()}"

        @contextmanager
        def at(name: str) -> Iterator[Any]:
            connection.close()
            connection.settings_dict["NAME"] = name
            with connection.cursor() as cursor:
                yield cursor

        with at("postgres") as cursor:
            cursor.execute(f"CREATE DATABASE {other}")
        try:
            with at(other):
                yield
        finally:
            with at("postgres") as cursor:
                cursor.execute(f"DROP DATABASE {other} WITH (FORCE)")
            with at(usual):
                pass


def key(name: str) -> UUID:
    return UUID(bytes=KEYS.key("gateway/1", name))


def put(
    customer: Customer,
    seq: int,
    name: str,
    kind: int = TOKENS,
    *,
    received: datetime = NOW,
    target: str = "",
    **columns: Any,
) -> None:
    """An event as it was stored."""
    given: dict[str, Any] = {
        "customer_id": customer.pk, "event_key": key(name), "seq": seq, "occurred_at": TIME,
        "received_at": received, "fingerprint": 7, "input_tokens": 0, "cached_input_tokens": 0,
        "output_tokens": 0, "reasoning_tokens": 0, "gpu_seconds": 0, "busy_gpu_seconds": 0,
        "kind": kind, "model": "llama", "mode": "serverless", "source": "gateway/1",
        "event_id": name, "project": None, "extra": None,
        "target_key": key(target) if target else None,
    } | columns  # fmt: skip
    if given["extra"]:
        given["extra"] = json.dumps(given["extra"])
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO metering_usageevent ({', '.join(given)})"  # noqa: S608
            f" VALUES ({', '.join(['%s'] * len(given))})",
            list(given.values()),
        )


def put_waiting(customer: Customer, period_id: int, name: str, resolution: str = "") -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO metering_unratedusage (customer_id, event_key, period_id, occurred_at,"
            " model, mode, meter, quantity, reason, recorded_at, resolved_at, resolution)"
            " VALUES (%s, %s, %s, %s, 'unheard-of', 'serverless', 'output_tokens', 9, 'no_price',"
            " %s, %s, %s)",
            [customer.pk, key(name), period_id, TIME, NOW, NOW if resolution else None, resolution],
        )


def void_of(name: str, reason: str | None = None) -> dict[str, Any]:
    said: dict[str, Any] = {"target": {"source": "gateway/1", "id": name}}
    return said if reason is None else {**said, "reason": reason}


def fill(acme: Customer, bolt: Customer) -> None:
    """Events of every kind, voided ones, some that wait, one in an archive, as they were stored;
    and what they come to."""
    # Without today's services: they know columns that are not there yet.
    card = RateCard.objects.create(customer=acme, protected_from=JAN)
    RateDiscount.objects.create(card=card, discount=0, effective_at=JAN)
    period = UsagePeriod.objects.create(customer=acme, rate_card=card, starts_at=JAN, ends_at=APR)
    unheard: dict[str, Any] = {"model": "unheard-of", "output_tokens": 9}
    put(acme, 1, "rich", input_tokens=10, cached_input_tokens=5, output_tokens=100,
        reasoning_tokens=3, project="p", extra=LABELS)  # fmt: skip
    put(acme, 2, "old", source="archive/1", event_id="", output_tokens=50)
    put(acme, 3, "further", FURTHER, model="flux", extra={**LABELS, "quantities": {"images": 4}})
    put(acme, 4, "gone", output_tokens=77)
    put(acme, 5, "hardware", HARDWARE, received=MARCH, model="h100", mode="dedicated",
        gpu_seconds=3600, busy_gpu_seconds=600)  # fmt: skip
    put(acme, 6, "v", VOID, received=MARCH, model="", mode="", target="gone",
        extra=void_of("gone", "twice"))  # fmt: skip
    put(acme, 7, "waits", received=MARCH, **unheard)
    put(acme, 8, "never", received=MARCH, **unheard)
    put(acme, 9, "w", VOID, received=MARCH, model="", mode="", target="never",
        extra=void_of("never"))  # fmt: skip
    for number in range(MANY):
        put(bolt, number + 1, f"n{number}")
    put_waiting(acme, period.pk, "waits")
    put_waiting(acme, period.pk, "never", "voided")
    hour = TIME.replace(minute=0)
    with connection.cursor() as cursor:
        for model, mode, meter, rate, quantity in (
            ("llama", "serverless", "input_tokens", "0.000001", 10),
            ("llama", "serverless", "cached_input_tokens", "0.0000005", 5),
            ("llama", "serverless", "output_tokens", "0.000002", 150),
            ("flux", "serverless", "images", "0.04", 4),
            ("h100", "dedicated", "gpu_seconds", "0.001", 3600),
        ):
            cursor.execute(
                "SELECT metering_add_usage(ARRAY[%s], ARRAY[%s], ARRAY[%s], ARRAY[1],"
                " ARRAY[%s]::numeric[], ARRAY[%s], ARRAY[%s], ARRAY[%s], ARRAY[%s])",
                [acme.pk, period.pk, int(hour.timestamp()), rate, quantity, model, mode, meter],
            )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO metering_usagestate (customer_id, ingest_seq, terms_version)"
            " VALUES (%s, 9, 5), (%s, %s, 5)",
            [acme.pk, bolt.pk, MANY],
        )
        cursor.execute("INSERT INTO metering_eventkeysecret (id, secret) VALUES (1, %s)", [SECRET])
        cursor.execute(
            "INSERT INTO metering_usagearchive (id, starts_at, ends_at, file, sha256, row_count,"
            " sums, archived_at) OVERRIDING SYSTEM VALUE VALUES (1, %s, %s, 'f', 'x', 1, '{}', %s)",
            [FEB, MARCH, NOW],
        )


def stored() -> Any:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {COLUMNS} FROM metering_usageevent ORDER BY customer_id, seq")  # noqa: S608
        return cursor.fetchall()


def found(statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def test_old_events_are_found_in_chunks_as_they_were(another_database: None) -> None:
    # Back and forth on the way: the guards can be taken away and put back.
    call_command("migrate", "metering", "0012", verbosity=0)
    call_command("migrate", "metering", "0001", verbosity=0)
    assert found("SELECT to_regclass('metering_change')") == [(None,)]
    call_command("migrate", "metering", "0012", verbosity=0)
    call_command("migrate", "billing", verbosity=0)
    # Far from the versions that this process knows from another database.
    found("SELECT setval('metering_change', 1000000000)")
    list_prices()
    acme, bolt = make_customer("acme"), make_customer("bolt")
    fill(acme, bolt)
    before = stored()
    call_command("migrate", verbosity=0)

    assert stored() == before
    assert found("SELECT to_regclass('metering_eventbefore')") == [(None,)]
    assert rederive_rollups() == []
    names = dict(UsageEvent.objects.filter(customer=acme).values_list("seq", "event_id"))
    old = UsageEvent.objects.get(customer=acme, seq=2)
    assert names == {
        1: "rich", 2: f"{old.chunk_id}/{old.place}", 3: "further", 4: "gone", 5: "hardware",
        6: "v", 7: "waits",
        8: "never", 9: "w",
    }  # fmt: skip
    assert found(
        "SELECT event.event_id, void.event_id, void.seq FROM metering_usagevoid AS void"
        " JOIN metering_usageevent AS event USING (chunk_id, place) ORDER BY 3"
    ) == [("gone", "v", 6), ("never", "w", 9)]
    for waits in UnratedUsage.objects.all():
        lies_at = UsageEvent.objects.get(chunk_id=waits.chunk_id, place=waits.place)
        assert (waits.source, waits.event_name) == (lies_at.source, lies_at.event_id)
    assert UnratedUsage.objects.count() == 2

    again = send(
        event("rich", "tokens", RICH), tokens("old", 50), event("further", "usage", USAGE),
        tokens("gone", 77), event("hardware", "gpu", GPU),
        {**void("v", "gone"), "data": {"source": "gateway/1", "id": "gone", "reason": "twice"}},
        tokens("waits", 9, model="unheard-of"), void("w", "never"),
        *(tokens(f"n{number}", 0, subject="bolt") for number in range(MANY)),
    )  # fmt: skip
    assert (again.accepted, again.duplicates, again.refused) == (0, 8 + MANY, [])
    other = send(
        event("rich", "tokens", {**RICH, "region": "s"}), tokens("gone", 78),
        event("further", "usage", {**USAGE, "quantities": {"images": 5}}), tokens("new", 1),
        tokens("n5", 1, subject="bolt"), void("v2", "old"), void("v3", "gone"),
    )  # fmt: skip
    assert other.accepted == 2
    assert codes(other) == [
        (0, "conflict"), (1, "conflict"), (2, "conflict"), (4, "conflict"), (6, "conflict"),
    ]  # fmt: skip
    assert rederive_rollups() == []
