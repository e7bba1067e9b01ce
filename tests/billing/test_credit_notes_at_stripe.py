"""A credit note's way to Stripe: once, whoever dies and whatever was paid in between."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from billing.domain.errors import ExternalFailure
from billing.models import CreditNote, Invoice
from billing.services import credit_note_push, proof, stripe_credit_notes
from tests.billing import cast
from tests.billing.credit_note_steps import agreed, balances, pay, push, split
from tests.billing.stripe_steps import Killed, later
from tests.stripe_simulator import StripeSimulator


def test_paid_before_the_note_arrived_the_money_is_owed_back(
    stripe_world: StripeSimulator, issued: Invoice, ada: APIClient, ben: APIClient
) -> None:
    note = agreed(ada, ben, issued, "500.00")
    pay(stripe_world, issued)
    note.refresh_from_db()
    assert split(note) == ("approved", 0, 0, 50_000)
    assert balances()["stripe_clearing"] == 33_500
    assert proof.ledger_problems() == []
    assert push(note)
    assert split(note) == ("issued", 0, 0, 50_000)
    assert balances()["stripe_clearing"] == 33_000


@pytest.mark.parametrize("wait_hours", [0, 30])
@pytest.mark.parametrize("after", [False, True])
def test_a_worker_that_dies_at_the_call_leaves_one_note(
    stripe_world: StripeSimulator,
    issued: Invoice,
    ada: APIClient,
    ben: APIClient,
    monkeypatch: pytest.MonkeyPatch,
    wait_hours: int,
    after: bool,
) -> None:
    note = agreed(ada, ben, issued, "500.00")
    real: Callable[..., Any] = stripe_credit_notes.create_note

    def dies(**given: Any) -> Any:
        if after:
            real(**given)
        raise Killed

    with pytest.raises(Killed), monkeypatch.context() as patch:
        patch.setattr(stripe_credit_notes, "create_note", dies)
        push(note)
    if after:
        # Paid in between: Stripe had the note, so less came in.
        pay(stripe_world, issued)
        assert balances()["stripe_clearing"] == 33_000
    with later(hours=wait_hours):
        assert push(note)
        assert push(note)
    assert split(note) == ("issued", 50_000, 0, 0)
    assert [row["id"] for row in stripe_world.objects("credit_note")] == [note.stripe_id]


def test_a_failure_waits_and_looks_again(
    stripe_world: StripeSimulator, issued: Invoice, ada: APIClient, ben: APIClient
) -> None:
    note = agreed(ada, ben, issued, "500.00")
    stripe_world.fault("error_500", method="POST", path="/v1/credit_notes", times=1)
    with pytest.raises(ExternalFailure):
        push(note)
    assert credit_note_push.push_due_notes(now=cast.NOW) == 0
    with later(minutes=5):
        assert credit_note_push.push_due_notes(now=cast.NOW) == 1
    note.refresh_from_db()
    assert split(note) == ("issued", 50_000, 0, 0)


def test_the_second_refusal_is_a_humans_turn(
    issued: Invoice, ada: APIClient, ben: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = agreed(ada, ben, issued, "500.00")

    def refuses(**given: Any) -> Any:
        raise ExternalFailure("stripe_refused", "no", permanent=True)

    with monkeypatch.context() as patch:
        patch.setattr(stripe_credit_notes, "create_note", refuses)
        for blocked in (False, True):
            with pytest.raises(ExternalFailure):
                push(note)
            note.refresh_from_db()
            assert note.push_blocked is blocked
    assert not push(note)
    assert ada.post(f"/api/v1/credit-notes/{note.pk}/push").status_code == 202
    assert push(CreditNote.objects.get())
