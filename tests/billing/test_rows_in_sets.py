"""Rows written in sets arrive as they are: whatever is in their texts, and exact or not at all."""

import json
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.domain.array_format import array_of, array_of_json
from billing.models import AuditEvent, Customer, LedgerAccount
from billing.services import row_sets
from tests.billing import cast

pytestmark = pytest.mark.django_db
TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=60)
NASTY = st.sampled_from(["\\N", "\\.", "a\tb", "a\nb\r", '"', "\\", "NULL", "", "{,}", "\u2028"])
TEXTS = TEXT | NASTY


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_texts_are_inserted_and_updated_as_they_are(db: None, rows: list[tuple[str, str]]) -> None:
    events = [
        AuditEvent.fresh(
            at=cast.NOW, actor_name=name, action="x", object_type="row", object_ref="1",
            details={"text": text, "more": [None, 1, {text: text}]},
        )
        for name, text in rows
    ]  # fmt: skip
    begun = AuditEvent.objects.count()
    row_sets.insert_rows(events)
    found = list(AuditEvent.objects.order_by("pk"))[begun:]
    assert [(one.actor_name, one.details) for one in found] == [
        (name, {"text": text, "more": [None, 1, {text: text}]}) for name, text in rows
    ]
    customer = Customer.objects.get_or_create(key="row", defaults={"created_at": cast.NOW})[0]
    for name, text in rows:
        customer.name, customer.email = name, text
        row_sets.update_rows([customer], ["name", "email"])
        customer.refresh_from_db()
        assert (customer.name, customer.email) == (name, text)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(TEXTS | st.none(), max_size=6))
def test_an_array_says_what_its_list_said(db: None, values: list[str | None]) -> None:
    """Whatever has to be escaped, and texts that look like nulls, numbers or brackets."""
    spelled = [None if value is None else json.dumps(value) for value in values]
    given = [array_of(values), array_of_json(spelled)]
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::text[], %s::text[]", given)
        assert cursor.fetchone() == (values, spelled)


def test_an_array_of_anything_else() -> None:
    one, day = UUID(int=10), date(2026, 4, 4)
    whole, part = 10**18, Decimal("-0.000000000001")
    given = [array_of([whole, None]), array_of([part]), array_of((one,)), array_of(iter([day]))]
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::bigint[], %s::numeric[], %s::uuid[], %s::date[]", given)
        assert cursor.fetchone() == ([whole, None], [part], [one], [day])


def test_nothing_is_rounded_on_its_way(acme: Customer) -> None:
    account = LedgerAccount.objects.create(customer=acme, code="bank")
    for amount in ("12345678901234567890.123456789012", "1E+3", "0E-12", "-0.000000000001"):
        account.balance = Decimal(amount)
        row_sets.update_rows([account], ["balance"])
        account.refresh_from_db()
        assert account.balance == Decimal(amount)
    for wrong in (Decimal("0.0000000000001"), 0.5, Decimal("1E-13")):
        account.balance = wrong
        with pytest.raises(ValidationError):
            row_sets.update_rows([account], ["balance"])
