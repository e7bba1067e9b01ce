"""Amounts below the minimum and customer credit move to the balance, and from there onwards."""

from __future__ import annotations

import stripe
from hypothesis import given
from hypothesis import strategies as st

from tests.stripe_simulator.amounts import settle

from .conftest import new_invoice

cents = st.integers(min_value=-10_000_000, max_value=10_000_000)


@given(total=cents, balance=cents)
def test_no_cent_is_lost(total: int, balance: int) -> None:
    settled = settle(total, balance, "usd")
    assert settled.amount_due + settled.ending_balance == total + balance
    assert settled.amount_due == 0 or settled.amount_due >= 50


def test_below_the_minimum_is_paid_and_owed_on_the_next(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({}).id
    small = client.v1.invoices.finalize_invoice(new_invoice(client, 30, customer=customer).id)
    assert (small.status, small.amount_due, small.amount_paid, small.total) == ("paid", 0, 0, 30)
    assert (small.starting_balance, small.ending_balance) == (0, 30)
    assert client.v1.customers.retrieve(customer).balance == 30
    following = client.v1.invoices.finalize_invoice(new_invoice(client, 100, customer=customer).id)
    assert (following.status, following.total, following.amount_due) == ("open", 100, 130)
    assert (following.starting_balance, following.ending_balance) == (30, 0)
    kinds = client.v1.customers.balance_transactions.list(customer)
    assert [move.type for move in kinds.data] == ["applied_to_invoice", "invoice_too_small"]


def test_exactly_the_minimum_is_collected(client: stripe.StripeClient) -> None:
    assert client.v1.invoices.finalize_invoice(new_invoice(client, 50).id).status == "open"


def test_nothing_to_pay_is_paid_at_once(client: stripe.StripeClient) -> None:
    paid = client.v1.invoices.finalize_invoice(new_invoice(client).id)
    assert (paid.status, paid.ending_balance) == ("paid", 0)
    assert client.v1.invoice_payments.list({"invoice": paid.id}).data == []


def test_credit_is_applied_and_given_back_by_voiding(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({}).id
    client.v1.customers.balance_transactions.create(
        customer, {"amount": -400, "currency": "usd", "description": "goodwill"}
    )
    draft = new_invoice(client, 1_000, customer=customer)
    assert (draft.starting_balance, draft.amount_due, draft.ending_balance) == (-400, 600, None)
    opened = client.v1.invoices.finalize_invoice(draft.id)
    assert (opened.total, opened.amount_due, opened.ending_balance) == (1_000, 600, 0)
    assert client.v1.customers.retrieve(customer).balance == 0
    client.v1.invoices.void_invoice(draft.id)
    assert client.v1.customers.retrieve(customer).balance == -400
