"""Every guard of the database is broken in plain SQL, and must say so by its own name.

The list is made from the models and the triggers that are really there: a guard without an attack
fails this test, and so does an attack on a guard that is gone.
"""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction

from billing.models import ApiKeyKind, Invoice, JobRun, WriteOff
from billing.services import accounting_periods, invoice_voiding, write_offs
from billing.services.credit_note_requests import NoteRequest, request_note
from commits.models import BackfillKind, StagedEvent
from commits.services import backfills, credits, overrides
from commits.services.write_offs import approve_write_off
from metering.models import Price, ReportedTotal, UsageArchive
from metering.services import private_prices, waivers
from metering.services.price_book import NewPrice
from metering.services.rate_cards import Override
from tests.api_clients import api_client
from tests.commits.world import at, send, void
from tests.faces.conftest import cast, pushed  # noqa: F401
from tests.faces.world import NOW, Cast, usage_event
from tests.guards.attacks import NOT_ATTACKED, of_billing, of_commits, of_metering


def everything_that_can_wait(cast: Cast) -> None:  # noqa: F811
    """One row at least in every table that has a guard, and one request of each kind."""
    user = User.objects.get(username="ada")
    finance = api_client(ApiKeyKind.FINANCE, now=NOW, user=user)
    meter = {"key": "songs", "unit": "song"}
    made = finance.post("/api/v1/meters", meter, format="json", headers={"Idempotency-Key": "k"})
    assert made.status_code == 201
    JobRun.objects.create(job="test", due_at=NOW)
    ReportedTotal.objects.create(
        customer=cast.acme, hour=at("2026-05-01"), model="m", mode="serverless", meter="songs",
        source="s", quantity=1, reported_at=NOW,
    )  # fmt: skip
    UsageArchive.objects.create(
        month=300, starts_at=at("2025-01-01"), ends_at=at("2025-02-01"), file="x", sha256="x",
        row_count=1, sums={}, archived_at=NOW,
    )  # fmt: skip
    acme = cast.acme
    who: dict[str, Any] = {"actor_name": "ada", "now": NOW}
    accounting_periods.lock_month(month=date(2025, 12, 1), **who)
    period = accounting_periods.lock_month(month=date(2026, 1, 1), **who)
    accounting_periods.request_unlock(period_id=period.pk, reason="x", **who)
    invoice = Invoice.objects.filter(customer=acme, state="finalized").latest("created_at")
    request_note(
        invoice_id=invoice.pk,
        request=NoteRequest(cents=100, reason="x", kind=None),
        actor=user,
        **who,
    )
    for one in Invoice.objects.filter(state="finalized").exclude(pk=invoice.pk)[:2]:
        invoice_voiding.void_invoice(invoice_id=one.pk, reason="x", actor=None, **who)
        given_up = write_offs.request_write_off(invoice_id=one.pk, reason="x", **who)
        if not WriteOff.objects.filter(state="approved").exists():
            approve_write_off(write_off_id=given_up.pk, actor_name="ben", now=NOW)
    credits.request_credit(
        commit_id=cast.acme_commit.pk,
        request=credits.CreditRequest(amount=Decimal(5), reason="x"),
        actor="ada",
        now=NOW,
    )
    fixed = Override("tuned", "serverless", "output_tokens", Decimal(1), at("2026-06-01"))
    for _ in range(2):
        asked = overrides.request_override(
            commit_id=cast.acme_commit.pk, override=fixed, actor="ada", now=NOW
        )
    overrides.approve_override(request_id=asked.pk, actor="ben", now=NOW)
    price = NewPrice("tuned", "serverless", "input_tokens", Decimal(2), at("2026-06-01"))
    for _ in range(2):
        own = private_prices.request_private_price(customer=acme, price=price, **who)
    private_prices.approve_private_price(request_id=own.pk, actor_name="ben", now=NOW)
    assert Price.objects.filter(customer=acme).count() == 1
    void(acme, "llama-2026-05-01", now=NOW, source="gateway")
    waivers.request_waiver(customer=acme, reason="x", model="mystery-1", **who)
    backfill = backfills.declare_backfill(
        source="gateway", starts_at=at("2026-05-01"), ends_at=at("2026-05-02"),
        kind=BackfillKind.ADD, customer_keys=[acme.key], reason="x", **who,
    )  # fmt: skip
    # What comes last is not folded into the rollups yet.
    last = usage_event(acme, "last", at("2026-05-18T12:00"), "llama-3.3-70b", {"input_tokens": 5,
                       "output_tokens": 5})  # fmt: skip
    send([last], now=NOW)
    StagedEvent.objects.create(share=backfill.shares.get(), event_id="x", body={})


def guards() -> set[str]:
    """The names of all constraints of the models and of all triggers of the database."""
    ours = [apps.get_app_config(name) for name in ("billing", "metering", "commits")]
    named = {
        constraint.name
        for app in ours
        for model in app.get_models()
        for constraint in model._meta.constraints
    }
    # Of the chunks of events there is no model, but partitions that repeat all their guards; nor is
    # there one of what usage added and the rollups do not hold yet.
    named |= {
        "the_columns_of_a_chunk_are_of_one_length", "the_origins_of_a_chunk_are_of_one_length",
        "the_columns_of_a_usage_delta_are_of_one_length", "a_usage_delta_only_adds",
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
               WHERE NOT tgisinternal
                 AND (relname LIKE 'billing_%' OR relname LIKE 'metering_%'
                      OR relname LIKE 'commits_%')"""
        )
        return named | {name for (name,) in cursor.fetchall()}


def refused_by(statement: str) -> str:
    """The guard that refuses a statement, or what happened instead."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
            touched = cursor.rowcount
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            raise AssertionError(f"nobody: {touched} rows")
    except DatabaseError as error:
        found = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
        return str(found or error)
    except AssertionError as error:
        return str(error)


@pytest.mark.django_db
def test_every_guard_refuses_what_its_name_says(pushed: Cast) -> None:  # noqa: F811
    everything_that_can_wait(pushed)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
    attacks = {**of_billing(), **of_metering(), **of_commits()}
    # Whoever adds a guard adds its attack to tests/guards/attacks.py; who removes one, removes it.
    assert guards() == attacks.keys() | NOT_ATTACKED.keys()
    answers = {guard: refused_by(statement) for guard, statement in attacks.items()}
    assert {guard: answer for guard, answer in answers.items() if answer != guard} == {}
