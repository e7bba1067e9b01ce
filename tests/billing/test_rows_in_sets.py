"""Rows written in sets arrive as they are: whatever is in their texts, and exact or not at all."""

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
