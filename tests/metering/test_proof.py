"""The proof finds what is wrong: each planted error, by its own sentence."""

import pytest
from django.db import connection

from billing.models import Customer
from metering.services.proof import rederive_rollups
from tests.metering.conftest import open_terms
from tests.metering.sending import send, tokens, void

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("prices")]

PLANTED = [
    ("UPDATE metering_usagehour SET quantity = quantity + 1", "its events make"),
    ("DELETE FROM metering_usagehour", "its events make"),
    ("UPDATE metering_usagehour SET rate = rate + 1", "not 0.0000016"),
    ("UPDATE metering_usageday SET amount = amount + 0.000000000001", "its hours make"),
    ("DELETE FROM metering_usageday", "its hours make"),
    ("UPDATE metering_usagetotal SET quantity = 0", "its hours make"),
    ("UPDATE metering_unratedusage SET quantity = 3 WHERE resolution = ''", "was reported with"),
    ("UPDATE metering_unratedusage SET model = 'llama' WHERE resolution = ''", "it has a rate"),
    ("UPDATE metering_unratedusage SET period_id = NULL", "which is not its own"),
    ("DELETE FROM metering_unratedusage", "its events make"),
    ("UPDATE metering_unratedusage SET resolution = '', resolved_at = NULL", "has been voided"),
    ("UPDATE metering_usagestate SET ingest_seq = ingest_seq + 1", "but the state says"),
    ("UPDATE metering_price SET price = price / 2; UPDATE metering_pricebookversion"
     " SET version = nextval('metering_change')", "rated 0.0000016"),
    ("UPDATE metering_usageperiod SET ends_at = '2026-02-01T00:00Z'", "neither rated nor waiting"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "sentence"), PLANTED)
def test_a_planted_error_is_found(acme: Customer, statement: str, sentence: str) -> None:
    open_terms(acme)
    send(tokens("a"), tokens("b"), tokens("c", model="unheard-of"), tokens("d", model="unheard-of"))
    send(void("v", "b"), void("w", "d"))
    assert rederive_rollups() == rederive_rollups(customer_id=acme.pk) == []
    with connection.cursor() as cursor:
        cursor.execute(statement)
    problems = rederive_rollups()
    assert any(sentence in problem for problem in problems), problems
    assert rederive_rollups(customer_id=acme.pk) == problems


def test_it_looks_at_one_customer_if_asked(acme: Customer, bolt: Customer) -> None:
    for customer in (acme, bolt):
        open_terms(customer)
        send(tokens("a", subject=customer.key))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE metering_usageday SET amount = 0 WHERE customer_id = %s", [bolt.pk])
    assert rederive_rollups(customer_id=acme.pk) == []
    assert len(rederive_rollups(customer_id=bolt.pk)) == len(rederive_rollups()) == 1
