"""A list price that one customer alone sees: agreed by two, and otherwise like any list price."""

from datetime import datetime, timedelta
from decimal import Decimal as D
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from billing.domain.errors import Conflict, InvalidInput, NotFound, NotPermitted
from billing.models import ApiKeyKind, AuditEvent, Customer
from metering.domain.rates import Rate
from metering.models import Price, PrivatePriceRequest
from metering.services import price_book, private_prices, rating, totals
from metering.services.price_book import NewPrice
from metering.services.proof import rederive_rollups
from tests.api_clients import api_client
from tests.metering.conftest import FEB, JAN, MAR, NOW, open_terms
from tests.metering.sending import send, tokens
from tests.metering.test_ingest_once import used

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("prices")]


def asked(
    customer: Customer, price: str, *, model: str = "tuned", at: datetime = JAN, **more: str
) -> PrivatePriceRequest:
    new = NewPrice(
        model, more.get("mode", "serverless"), more.get("meter", "output_tokens"), D(price), at
    )
    return private_prices.request_private_price(
        customer=customer, price=new, actor_name="ada", now=NOW
    )


def agreed(customer: Customer, price: str, **more: Any) -> PrivatePriceRequest:
    request = asked(customer, price, **more)
    return private_prices.approve_private_price(request_id=request.pk, actor_name="ben", now=NOW)


def rate_of(customer: Customer, model: str = "tuned", **more: Any) -> Rate:
    found = {"mode": "serverless", "meter": "output_tokens", "occurred_at": NOW, **more}
    return rating.explain_rate(customer_id=customer.pk, model=model, **found)


def test_the_commits_discount_and_the_modes_apply_to_it(acme: Customer, bolt: Customer) -> None:
    for customer in (acme, bolt):
        open_terms(customer, discount="0.2")
    agreed(acme, "10")
    rate = rate_of(acme)
    assert rate.listed is not None and rate.listed.is_private
    assert rate.rate == D("0.000008")
    assert rate_of(acme, mode="batch").rate == D("0.000004")
    with pytest.raises(NotFound) as nothing:
        rate_of(bolt)
    assert nothing.value.code == "no_price"


def test_it_stands_in_for_everybodys_price_from_its_own_instant(
    acme: Customer, bolt: Customer
) -> None:
    for customer in (acme, bolt):
        open_terms(customer, discount="0", protected=False)
    agreed(acme, "1.5", model="llama", at=FEB)
    price_book.add_price(
        model="llama", mode="serverless", meter="output_tokens", price=D("1.1"), effective_at=MAR,
        actor_name="ada", now=NOW,
    )  # fmt: skip
    for when, own, others in ((JAN, "2", "2"), (FEB, "1.5", "2"), (MAR, "1.5", "1.1")):
        assert rate_of(acme, "llama", occurred_at=when).rate == D(own) / 1_000_000
        assert rate_of(bolt, "llama", occurred_at=when).rate == D(others) / 1_000_000


def test_protection_holds_the_price_of_its_first_appearance(acme: Customer) -> None:
    open_terms(acme, discount="0")
    agreed(acme, "10", at=FEB)
    agreed(acme, "14", at=FEB + timedelta(days=1))
    agreed(acme, "9", at=FEB + timedelta(days=2))
    rates = [rate_of(acme, occurred_at=FEB + timedelta(days=day)).rate for day in range(3)]
    assert rates == [D("0.00001"), D("0.00001"), D("0.000009")]


def test_until_a_second_person_approves_it_prices_nothing(acme: Customer) -> None:
    open_terms(acme)
    request = asked(acme, "10")
    assert send(tokens("a", model="tuned")).unrated == 1
    with pytest.raises(NotPermitted):
        private_prices.approve_private_price(request_id=request.pk, actor_name="ada", now=NOW)
    assert used(acme) == 0 and not Price.objects.filter(model="tuned").exists()
    for _ in range(2):
        private_prices.approve_private_price(request_id=request.pk, actor_name="ben", now=NOW)
    assert used(acme) == D(8)
    assert Price.objects.filter(model="tuned").count() == 1
    assert rederive_rollups() == []
    with pytest.raises(Conflict):
        private_prices.reject_private_price(request_id=request.pk, actor_name="cy", now=NOW)
    trail = AuditEvent.objects.filter(customer_key="acme").order_by("pk")
    assert list(trail.values_list("actor_name", "action", "object_type")) == [
        ("ada", "request", "private_price"), ("ben", "approve", "private_price"),
        ("ben", "add_price", "price"),
    ]  # fmt: skip


def test_it_rates_what_waits_of_this_customer_alone(acme: Customer, bolt: Customer) -> None:
    mine, others = open_terms(acme), open_terms(bolt)
    send(tokens("a", model="tuned"), tokens("b", model="tuned", subject="bolt"))
    agreed(acme, "10")
    waiting = totals.open_unrated_counts(period_ids=[mine.pk, others.pk])
    assert (waiting, used(acme), used(bolt)) == ({mine.pk: 0, others.pk: 1}, D(8), D(0))
    assert rederive_rollups() == []


def test_it_changes_no_amount_that_was_rated(acme: Customer, bolt: Customer) -> None:
    for customer in (acme, bolt):
        open_terms(customer)
    send(tokens("b", subject="bolt"))
    agreed(acme, "1", model="llama", at=JAN)
    send(tokens("a"))
    assert (used(acme), used(bolt)) == (D("0.8"), D("1.6"))
    with pytest.raises(Conflict) as refused:
        agreed(acme, "0.5", model="llama", at=FEB)
    assert refused.value.code == "price_in_force"
    assert (used(acme), Price.objects.filter(customer=acme).count()) == (D("0.8"), 1)
    assert PrivatePriceRequest.objects.filter(state="requested").count() == 1
    assert rederive_rollups() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": JAN + timedelta(minutes=30)}, {"price": "-1"}, {"price": "0.0000000000001"},
        {"model": ""}, {"meter": "songs"}, {"mode": "fast"},
    ],
)  # fmt: skip
def test_an_impossible_price_is_not_even_asked_for(acme: Customer, wrong: dict[str, Any]) -> None:
    given: dict[str, Any] = {"price": "1", **wrong}
    with pytest.raises(InvalidInput):
        asked(acme, **given)
    assert not PrivatePriceRequest.objects.exists()


def test_over_rest(acme: Customer, bolt: Customer) -> None:
    client = partial(api_client, now=NOW)
    ada, ben = (client(ApiKeyKind.FINANCE, name=name) for name in ("ada", "ben"))
    price = {
        "customer": "acme", "model": "tuned", "mode": "serverless", "meter": "output_tokens",
        "price": "10", "effective_at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    made = ada.post("/api/v1/prices", price, format="json", headers={"Idempotency-Key": "k"})
    assert (made.status_code, made.json()["state"]) == (201, "requested")
    again = ada.post("/api/v1/prices", price, format="json", headers={"Idempotency-Key": "k"})
    assert again.json() == made.json()
    decide = f"/api/v1/private-prices/{made.json()['id']}"
    assert ada.get("/api/v1/prices?customer=acme").json()["results"] == []
    assert ada.post(f"{decide}/approve").json()["code"] == "maker_is_checker"
    own = client(ApiKeyKind.CUSTOMER, customers=[acme])
    for other in (own, client(ApiKeyKind.AGENT)):
        assert other.post("/api/v1/prices", price, format="json").status_code == 403
        assert other.post(f"{decide}/approve").status_code == 403
        assert other.get("/api/v1/private-prices").status_code == 403
    assert ben.post(f"{decide}/approve").json()["decided_by"] == "ben"
    (listed,) = ada.get("/api/v1/prices?customer=acme").json()["results"]
    assert (listed["customer"], listed["price"]) == ("acme", "10.000000000000")
    assert ada.get("/api/v1/prices?customer=bolt").json()["results"] == []
    (request,) = ada.get("/api/v1/private-prices?customer=acme").json()["results"]
    assert request["state"] == "approved"
    nobody = ada.post("/api/v1/prices", {**price, "customer": "nobody"}, format="json")
    assert nobody.status_code == 404
    open_terms(acme)
    asked_for = "model=tuned&mode=batch&meter=output_tokens"
    rate = own.get(f"/api/v1/customers/acme/rate?{asked_for}&at=2026-02-01").json()
    assert (rate["private"], rate["rate"]) == (True, "0.000004000000")


@pytest.mark.parametrize(
    ("sentence", "statement"),
    [
        (
            "only as two people agreed",
            """INSERT INTO metering_price (model, mode, meter_id, customer_id, price, effective_at,
               source, created_at, created_by) SELECT model, mode, meter_id, customer_id, 1,
               effective_at, '', now(), 'ada' FROM metering_privatepricerequest""",
        ),
        ("only as two people", "UPDATE metering_price SET price = 1 WHERE customer_id IS NOT NULL"),
        ("decided once", "UPDATE metering_privatepricerequest SET decided_by = 'cy'"),
        (
            "one_private_price_per",
            """INSERT INTO metering_price (model, mode, meter_id, customer_id, price, effective_at,
               source, created_at, created_by) SELECT model, mode, meter_id, customer_id, price,
               effective_at, '', now(), 'ada' FROM metering_privatepricerequest""",
        ),
    ],
)
def test_plain_sql_makes_no_private_price(
    acme: Customer, bolt: Customer, sentence: str, statement: str
) -> None:
    agreed(acme, "10")
    with (
        pytest.raises(IntegrityError, match=sentence),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert [price.price for price in Price.objects.filter(customer=acme)] == [D(10)]
