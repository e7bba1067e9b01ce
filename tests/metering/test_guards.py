"""What the database itself refuses, and that the migrations go back and forth."""

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from billing.models import Customer
from metering.models import UsageEvent
from tests.metering.conftest import open_terms
from tests.metering.sending import send, tokens

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("prices")]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE metering_usageevent SET output_tokens = 0",
        "DELETE FROM metering_usageevent",
        "TRUNCATE metering_usageevent",
        "UPDATE metering_eventkeysecret SET secret = 'x'",
        "DELETE FROM metering_eventkeysecret",
        "INSERT INTO metering_eventkeysecret (id, secret) VALUES (2, 'x')",
        "UPDATE metering_usagehour SET quantity = -1",
        "UPDATE metering_usagetotal SET quantity = -1",
        "UPDATE metering_price SET effective_at = effective_at + interval '1 minute'",
        "UPDATE metering_price SET price = -1",
    ],
)
def test_the_database_refuses(acme: Customer, statement: str) -> None:
    open_terms(acme)
    send(tokens("a"))
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert UsageEvent.objects.get().output_tokens == 1_000_000


@pytest.mark.django_db(transaction=True)
def test_the_guards_can_be_taken_away_and_put_back() -> None:
    # The later migrations of other apps stay: only metering's guards go back and forth.
    call_command("migrate", "metering", "0001", fake=False, verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('metering_change')")
        assert cursor.fetchone() == (None,)
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('metering_change')")
        assert cursor.fetchone()[0] >= 2
