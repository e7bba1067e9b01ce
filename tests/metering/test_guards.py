"""What the database itself refuses."""

import pytest
from django.db import IntegrityError, connection, transaction

from billing.models import Customer
from metering.models import UsageEvent
from metering.services import usage_deltas
from tests.metering.conftest import open_terms
from tests.metering.sending import send, tokens

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("prices")]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE metering_usagechunk SET output_tokens = input_tokens",
        "UPDATE metering_usagechunk_2026_02 SET output_tokens = input_tokens",
        "DELETE FROM metering_usagechunk",
        "DELETE FROM metering_usagechunk_2026_02",
        "TRUNCATE metering_usagechunk",
        "TRUNCATE metering_usagechunk_2026_02",
        "UPDATE metering_eventkey SET fingerprint = 0",
        "DELETE FROM metering_eventkey",
        "DELETE FROM metering_usagerun",
        "UPDATE metering_eventkeysecret SET secret = 'x'",
        "DELETE FROM metering_eventkeysecret",
        "INSERT INTO metering_eventkeysecret (id, secret) VALUES (2, 'x')",
        "UPDATE metering_usagehour SET quantity = -1",
        "UPDATE metering_usagetotal SET quantity = -1",
        "UPDATE metering_usagedelta SET quantities = ARRAY[2]",
        "TRUNCATE metering_usagedelta",
        "UPDATE metering_price SET effective_at = effective_at + interval '1 minute'",
        "UPDATE metering_price SET price = -1",
    ],
)
def test_the_database_refuses(acme: Customer, statement: str) -> None:
    open_terms(acme)
    send(tokens("a"))
    usage_deltas.fold()
    send(tokens("b"))
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert {event.output_tokens for event in UsageEvent.objects.all()} == {1_000_000}
