"""Opening the next quarter may lose a deadlock to a signing, and is tried again."""

import time
from decimal import Decimal
from threading import Event

import pytest
from django.db import connection, transaction

from billing.models import Customer
from commits.models import Quarter
from commits.services import daily
from commits.services.chains import load_chains
from metering.services import rate_cards
from tests.commits.world import at, signed
from tests.metering.test_ingest_concurrently import at_once

pytestmark = pytest.mark.django_db(transaction=True)
WAITS = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"


def test_the_next_quarter_is_opened_all_the_same(acme: Customer) -> None:
    commit = signed(acme, instalments=(), discount=Decimal(0), now=at("2026-01-01"))
    known = Quarter.objects.filter(commit=commit).count()
    holds_usage = Event()

    def usage_before_the_chain() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL deadlock_timeout = '30s'")  # The other one is to lose.
            rate_cards.lock_usage(customer_ids=[acme.pk])
            holds_usage.set()
            deadline = time.monotonic() + 30
            while True:
                cursor.execute(WAITS)
                if cursor.fetchone()[0]:
                    break
                assert time.monotonic() < deadline
                time.sleep(0.01)
            load_chains(origin_ids=[commit.pk], lock=True)

    def open_next() -> int:
        assert holds_usage.wait(30)
        return daily.open_next_quarters(now=at("2026-05-01"))

    _, opened = at_once(usage_before_the_chain, open_next)
    assert opened > 0
    assert Quarter.objects.filter(commit=commit).count() == known + opened
