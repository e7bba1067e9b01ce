"""What finance does in the admin goes through services; what is refused changes nothing."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

from billing.models import (
    AccountingPeriod,
    ApiKey,
    CreditNote,
    Customer,
    CustomerLogin,
    Invoice,
    PeriodUnlock,
    WriteOff,
)
from billing.services import api_keys, credit_note_push
from commits.models import Close, Commit, Credit, OverrideRequest, Quarter, TrueUp
from commits.services import balances
from metering.models import Meter, Price, PrivatePriceRequest, UsageEvent
from tests.commits.world import void
from tests.faces.conftest import LogIn
from tests.faces.world import NOW, PASSWORD, Cast

COMMIT = {
    "starts_on": "2026-07-01",
    "quarters": "2",
    "instalment": "$12,500.00\n15000",
    "discount": "0.15",
    "price_protection": "on",
    "grace_hours": "72",
    "rollover_fraction": "0.5",
    "end_of_term": "expire",
    "period_months": "3",
    "overrides": "llama-3.3-70b, serverless, output_tokens, 0.50",
}


def new_customer(log_in: LogIn, key: str = "echo") -> Customer:
    given = {"key": key, "name": "Echo", "email": "echo@example.com", "timezone": "UTC"}
    assert log_in("ada").post("/admin/billing/customer/add/", given).status_code == 302
    return Customer.objects.get(key=key)


def test_a_commit_is_drafted_and_activated(cast: Cast, log_in: LogIn) -> None:
    ada = log_in("ada")
    customer = new_customer(log_in)
    answer = ada.post("/admin/commits/commit/add/", {**COMMIT, "customer": customer.pk})
    commit = Commit.objects.get(customer=customer)
    assert answer["Location"] == f"/admin/commits/commit/{commit.pk}/change/"
    assert commit.state == "draft" and commit.created_by == "ada"
    assert commit.instalments == [Decimal("12500.00"), Decimal("15000.00")]
    assert "Activate this commit" in ada.get(answer["Location"]).content.decode()
    ada.get(f"/admin/commits/commit/{commit.pk}/activate/")
    commit.refresh_from_db()
    assert commit.state == "draft", "a GET activates nothing"
    ada.post(f"/admin/commits/commit/{commit.pk}/activate/")
    commit.refresh_from_db()
    assert (commit.state, commit.quarters.count()) == ("active", 2)


def test_impossible_terms_are_all_named_and_store_nothing(cast: Cast, log_in: LogIn) -> None:
    customer = new_customer(log_in)
    wrong = {**COMMIT, "customer": customer.pk, "discount": "1.5", "instalment": "10.001"}
    body = log_in("ada").post("/admin/commits/commit/add/", wrong).content.decode()
    assert "discount is a share" in body and "not whole cents" in body
    assert not Commit.objects.filter(customer=customer).exists()


def test_a_close_is_approved_as_it_was_seen(cast: Cast, log_in: LogIn) -> None:
    close = Close.objects.get(quarter__commit=cast.bolt_commit)
    path = f"/admin/commits/commit/{cast.bolt_commit.pk}/quarters/1/close/"
    log_in("ada").post(f"{path}approve/", {"digest": close.digest})
    close.refresh_from_db()
    quarter = Quarter.objects.get(pk=close.quarter_id)
    assert (close.state, close.approved_by, quarter.state) == ("posted", "ada", "posted")


def test_a_close_with_other_figures_than_seen_is_refused(cast: Cast, log_in: LogIn) -> None:
    path = f"/admin/commits/commit/{cast.bolt_commit.pk}/quarters/1/close/"
    for digest in ("0" * 64, ""):
        answer = log_in("ada").post(f"{path}approve/", {"digest": digest}, follow=True)
        assert "Nothing was changed" in answer.content.decode()
    close = Close.objects.get(quarter__commit=cast.bolt_commit)
    assert (close.state, close.approved_by) == ("planned", "")


def test_whoever_planned_a_close_may_not_approve_it(cast: Cast, log_in: LogIn) -> None:
    Close.objects.filter(quarter__commit=cast.bolt_commit).update(planned_by="ada")
    close = Close.objects.get(quarter__commit=cast.bolt_commit)
    path = f"/admin/commits/commit/{cast.bolt_commit.pk}/quarters/1/close/"
    given = {"digest": close.digest}
    body = log_in("ada").post(f"{path}approve/", given, follow=True).content.decode()
    assert "another finance user must approve it" in body
    close.refresh_from_db()
    assert close.state == "planned"
    log_in("ben").post(f"{path}approve/", given)
    close.refresh_from_db()
    assert (close.state, close.approved_by) == ("posted", "ben")


def test_a_quarter_that_still_runs_cannot_be_closed(cast: Cast, log_in: LogIn) -> None:
    path = f"/admin/commits/commit/{cast.acme_commit.pk}/quarters/2/close/approve/"
    body = log_in("ada").post(path, {"digest": "x"}, follow=True).content.decode()
    assert "grace has not passed" in body
    assert Quarter.objects.get(commit=cast.acme_commit, index=2).state == "open"


def test_a_true_up_is_decided_by_another(cast: Cast, log_in: LogIn) -> None:
    ada, ben = log_in("ada"), log_in("ben")
    given = {"commit": cast.acme_commit.pk, "amount": "5000"}
    assert ada.post("/admin/commits/trueup/add/", given).status_code == 302
    asked = TrueUp.objects.get(commit=cast.acme_commit)
    page = f"/admin/commits/trueup/{asked.pk}/"
    assert "If approved now" in ada.get(f"{page}change/").content.decode()
    refused = ada.post(f"{page}approve/", follow=True).content.decode()
    assert "another finance user must approve it" in refused
    asked.refresh_from_db()
    assert asked.state == "requested" and not asked.grants.exists()
    ben.post(f"{page}approve/")
    asked.refresh_from_db()
    assert (asked.state, asked.decided_by) == ("approved", "ben")


def test_a_true_up_is_rejected_with_its_reason(cast: Cast, log_in: LogIn) -> None:
    page = f"/admin/commits/trueup/{cast.true_up.pk}/reject/"
    log_in("ada").post(page, {"reason": "agreed otherwise by phone"})
    cast.true_up.refresh_from_db()
    assert (cast.true_up.state, cast.true_up.rejected_because) == (
        "rejected",
        "agreed otherwise by phone",
    )


def test_credits_and_fixed_prices_need_two(cast: Cast, log_in: LogIn) -> None:
    ada, ben = log_in("ada"), log_in("ben")
    credit = {"commit": cast.acme_commit.pk, "amount": "250", "reason": "SLA"}
    fixed = {
        "commit": cast.acme_commit.pk, "model": "tuned-1", "mode": "serverless",
        "meter": "output_tokens", "price": "0.9", "effective_at": "2026-06-01T00:00",
    }  # fmt: skip
    for model, given in ((Credit, credit), (OverrideRequest, fixed)):
        base = f"/admin/commits/{model._meta.model_name}/"
        assert ada.post(f"{base}add/", given).status_code == 302
        asked = model._default_manager.get()
        refused = ada.post(f"{base}{asked.pk}/approve/", follow=True).content.decode()
        assert "Nothing was changed" in refused
        asked.refresh_from_db()
        assert asked.state == "requested"
        ben.post(f"{base}{asked.pk}/approve/")
        asked.refresh_from_db()
        assert asked.state == "approved"


def test_an_api_key_is_shown_once_and_revoked(cast: Cast, log_in: LogIn) -> None:
    ada = log_in("ada")
    answer = ada.post("/admin/billing/apikey/add/", {"kind": "agent", "name": "gateway"})
    key = ApiKey.objects.get(name="gateway")
    shown = next(w for w in answer.content.decode().replace("<", ">").split(">") if "agent_" in w)
    assert "no-store" in answer["Cache-Control"]
    found = api_keys.authenticate(presented=shown, now=NOW)
    assert found == key
    page = ada.get(f"/admin/billing/apikey/{key.pk}/change/").content.decode()
    assert shown not in page and key.secret_digest not in page
    ada.post(f"/admin/billing/apikey/{key.pk}/revoke/")
    assert api_keys.authenticate(presented=shown, now=NOW) is None


def test_a_key_without_its_owner_is_refused(cast: Cast, log_in: LogIn) -> None:
    count = ApiKey.objects.count()
    body = log_in("ada").post("/admin/billing/apikey/add/", {"kind": "customer"}).content.decode()
    assert "belongs to one customer" in body
    assert ApiKey.objects.count() == count


def test_a_price_is_added_and_a_half_hour_refused(cast: Cast, log_in: LogIn) -> None:
    ada = log_in("ada")
    given = {
        "model": "qwen3-32b", "mode": "serverless", "meter": "input_tokens", "price": "0.10",
        "effective_at": "2026-06-01T00:00",
    }  # fmt: skip
    assert ada.post("/admin/metering/price/add/", given).status_code == 302
    price = Price.objects.get(model="qwen3-32b")
    assert (price.price, price.created_by) == (Decimal("0.10"), "ada")
    half = {**given, "model": "other", "effective_at": "2026-06-01T00:30"}
    assert "not a whole UTC hour" in ada.post("/admin/metering/price/add/", half).content.decode()
    assert not Price.objects.filter(model="other").exists()
    ada.post("/admin/metering/meter/add/", {"key": "images", "unit": "image"})
    assert Meter.objects.filter(key="images").exists()


def test_a_private_price_needs_two_and_is_seen_by_one(cast: Cast, log_in: LogIn) -> None:
    ada, ben = log_in("ada"), log_in("ben")
    given = {
        "customer": cast.acme.pk, "model": "acme-tuned", "mode": "serverless",
        "meter": "output_tokens", "price": "3.25", "effective_at": "2026-04-01T00:00",
    }  # fmt: skip
    assert ada.post("/admin/metering/privatepricerequest/add/", given).status_code == 302
    asked = PrivatePriceRequest.objects.get()
    page = f"/admin/metering/privatepricerequest/{asked.pk}/"
    refused = ada.post(f"{page}approve/", follow=True).content.decode()
    assert "another finance user must approve it" in refused
    assert "acme-tuned" not in log_in("acme-user").get("/usage/").content.decode()
    ben.post(f"{page}approve/")
    assert "Acme alone" in ada.get("/admin/metering/price/?q=acme-tuned").content.decode()
    assert "acme-tuned" in log_in("acme-user").get("/usage/").content.decode()
    assert "acme-tuned" not in log_in("dune-user").get("/usage/").content.decode()
    rate = "/rate/?model=acme-tuned&mode=batch&meter=output_tokens&at=2026-05-01"
    assert "yours alone" in log_in("acme-user").get(rate).content.decode()
    assert log_in("dune-user").get(rate).status_code == 404


def test_a_price_that_would_change_rated_usage_is_refused(cast: Cast, log_in: LogIn) -> None:
    given = {
        "model": "llama-3.3-70b", "mode": "serverless", "meter": "input_tokens", "price": "0.10",
        "effective_at": "2026-02-01T00:00",
    }  # fmt: skip
    count = Price.objects.count()
    body = log_in("ada").post("/admin/metering/price/add/", given).content.decode()
    assert "price_in_force" in body
    assert Price.objects.count() == count


def test_a_month_is_locked_and_a_login_made(cast: Cast, log_in: LogIn) -> None:
    ada = log_in("ada")
    ada.post("/admin/billing/accountingperiod/add/", {"month": "2026-03-17"})
    period = AccountingPeriod.objects.get()
    assert (period.month, period.locked_by) == (date(2026, 3, 1), "ada")
    given = {"username": "new-at-acme", "customer": cast.acme.pk, "password": PASSWORD}
    ada.post("/admin/billing/customerlogin/add/", given)
    assert CustomerLogin.objects.get(user__username="new-at-acme").customer == cast.acme


def test_a_locked_month_is_unlocked_by_two(cast: Cast, log_in: LogIn) -> None:
    ada, ben = log_in("ada"), log_in("ben")
    early = ada.post("/admin/billing/accountingperiod/add/", {"month": "2026-05-01"})
    assert "is not over yet" in early.content.decode()
    ada.post("/admin/billing/accountingperiod/add/", {"month": "2026-03-01"})
    period = AccountingPeriod.objects.get()
    page = f"/admin/billing/accountingperiod/{period.pk}/"
    assert "Ask to unlock it" in ada.get(f"{page}change/").content.decode()
    empty = ada.post(f"{page}unlock/", {"reason": " "}, follow=True).content.decode()
    assert "Nothing was changed" in empty
    ada.post(f"{page}unlock/", {"reason": "a fee came late"})
    unlock = PeriodUnlock.objects.get()
    decide = f"/admin/billing/periodunlock/{unlock.pk}/"
    refused = ada.post(f"{decide}approve/", follow=True).content.decode()
    assert "another finance user must approve it" in refused
    ben.post(f"{decide}approve/")
    period.refresh_from_db()
    assert period.unlocked_at is not None
    assert "a fee came late" in ada.get(f"{page}change/").content.decode()


def left_of(customer: Customer) -> Decimal:
    """What is available, with the rollover still to come."""
    balance = balances.read_balance(customer=customer, now=NOW)
    return balance.available + balance.pending_rollover


def digest_in(page: str, name: str) -> str:
    """What the button or field of that name carries."""
    found = re.search(rf'name="{name}" value="([0-9a-f]{{64}})"', page)
    assert found is not None
    return found[1]


def test_a_credit_note_shows_its_effect_and_needs_two(pushed: Cast, log_in: LogIn) -> None:
    ada, ben = log_in("ada"), log_in("ben")
    invoice = Invoice.objects.get(customer=pushed.dune)
    page = ada.get(f"/admin/billing/invoice/{invoice.pk}/change/").content.decode()
    add = f"/admin/billing/creditnote/add/?invoice={invoice.pk}"
    assert add in page and str(invoice.pk) in ada.get(add).content.decode()
    given = {"invoice": invoice.pk, "amount": "1000", "reason": "two weeks of outage"}
    before = left_of(pushed.dune)
    effect = ada.post(add, given).content.decode()
    assert "Off what is still to be paid" in effect and "Ask for it" in effect
    seen = digest_in(effect, "ask")
    assert not CreditNote.objects.exists(), "a preview stores nothing"
    assert left_of(pushed.dune) == before
    for wrong in ("0", "-5", "10.001", "1e30"):
        answer = ada.post(add, {**given, "amount": wrong, "ask": "1"})
        assert answer.status_code == 400
    too_much = ada.post(add, {**given, "amount": "4000.01", "ask": "1"}).content.decode()
    assert "more_than_invoiced" in too_much
    other = ada.post(add, {**given, "amount": "999", "ask": seen})
    assert other.status_code == 400 and "not the one that was shown" in other.content.decode()
    assert not CreditNote.objects.exists()
    ada.post(add, {**given, "ask": seen})
    note = CreditNote.objects.get()
    path = f"/admin/billing/creditnote/{note.pk}/"
    refused = ada.post(f"{path}approve/", follow=True).content.decode()
    assert "another finance user must approve it" in refused
    page = ben.get(f"{path}change/").content.decode()
    assert "If approved now" in page
    for digest in ("", "0" * 64):
        body = ben.post(f"{path}approve/", {"digest": digest}, follow=True).content.decode()
        assert "not what was shown any more" in body
    note.refresh_from_db()
    assert note.state == "requested" and left_of(pushed.dune) == before
    ben.post(f"{path}approve/", {"digest": digest_in(page, "digest")})
    note.refresh_from_db()
    assert (note.state, note.decided_by, note.receivable_cents) == ("approved", "ben", 100_000)
    assert left_of(pushed.dune) == before - 1000
    shown = ada.get(f"{path}change/").content.decode()
    assert "on its way" in shown and "two weeks of outage" in shown
    credit_note_push.push_due_notes(now=NOW)
    note.refresh_from_db()
    assert note.stripe_id in ada.get(f"{path}change/").content.decode()


def test_usage_is_corrected_after_its_effect_was_shown(cast: Cast, log_in: LogIn) -> None:
    ada = log_in("ada")
    page = "/admin/commits/commit/correct-usage/"
    given = {
        "customer": cast.acme.pk, "voids": "gateway, llama-2026-02-03", "reason": "counted twice",
    }  # fmt: skip
    assert "Apply this correction" not in ada.get(page).content.decode()
    effect = ada.post(page, given).content.decode()
    assert "Apply this correction" in effect and "was $" in effect
    assert not UsageEvent.objects.filter(source="finance").exists(), "a preview stores nothing"
    for wrong in ({"voids": "no comma"}, {"voids": "gateway, never"}, {"replacements": "{"}):
        assert ada.post(page, {**given, **wrong, "apply": "1"}).status_code == 400
    seen = digest_in(effect, "apply")
    void(cast.acme, "llama-2026-02-04", now=NOW, source="gateway")
    other = {**given, "voids": "gateway, llama-2026-02-05", "apply": seen}
    for changed in (other, {**given, "apply": "1"}):
        answer = ada.post(page, changed)
        assert answer.status_code == 400 and "preview_changed" in answer.content.decode()
    assert not UsageEvent.objects.filter(source="finance").exists()
    assert ada.post(page, {**given, "apply": seen}).status_code == 302
    assert UsageEvent.objects.filter(source="finance").count() == 1
    again = ada.post(page, {**given, "apply": "1"})
    assert again.status_code == 400 and "correction_refused" in again.content.decode()
    assert log_in("vera").post(page, given).status_code == 403


def test_an_invoice_is_voided_and_reissued(pushed: Cast, log_in: LogIn) -> None:
    ada = log_in("ada")
    invoice = Invoice.objects.get(customer=pushed.dune)
    page = f"/admin/billing/invoice/{invoice.pk}/"
    early = ada.post(f"{page}reissue/", follow=True).content.decode()
    assert "Only a voided invoice is reissued" in early
    assert ada.get(f"{page}void/").status_code == 302
    invoice.refresh_from_db()
    assert invoice.state == "finalized", "a GET voids nothing"
    ada.post(f"{page}void/", {"reason": "wrong address"})
    invoice.refresh_from_db()
    assert invoice.state == "void"
    ada.post(f"{page}reissue/")
    assert Invoice.objects.filter(customer=pushed.dune).count() == 2


def test_a_voided_invoice_is_written_off_by_two(pushed: Cast, log_in: LogIn) -> None:
    ada, ben = log_in("ada"), log_in("ben")
    invoice = Invoice.objects.get(customer=pushed.dune)
    add = f"/admin/billing/writeoff/add/?invoice={invoice.pk}"
    before = left_of(pushed.dune)
    given = {"invoice": invoice.pk, "reason": "insolvent"}
    assert ada.post(add, {**given, "ask": "1"}).status_code == 400, "it is not void"
    ada.post(f"/admin/billing/invoice/{invoice.pk}/void/", {"reason": "insolvent"})
    assert add in ada.get(f"/admin/billing/invoice/{invoice.pk}/change/").content.decode()
    effect = ada.post(add, given).content.decode()
    assert "Bad debt" in effect and "Unused in Q" in effect
    assert not WriteOff.objects.exists(), "a preview stores nothing"
    ada.post(add, {**given, "ask": "1"})
    asked = WriteOff.objects.get()
    page = f"/admin/billing/writeoff/{asked.pk}/"
    assert "If approved now" in ben.get(f"{page}change/").content.decode()
    refused = ada.post(f"{page}approve/", follow=True).content.decode()
    assert "another finance user must approve it" in refused
    ben.post(f"{page}approve/")
    asked.refresh_from_db()
    assert (asked.state, asked.decided_by) == ("approved", "ben")
    assert left_of(pushed.dune) == before - Decimal(asked.unused_cents) / 100 < before
    shown = ada.get(f"/admin/billing/invoice/{invoice.pk}/change/").content.decode()
    assert "Unused, withdrawn" in shown
    again = ada.post(f"/admin/billing/invoice/{invoice.pk}/reissue/", follow=True)
    assert "It was written off" in again.content.decode()
    assert Invoice.objects.filter(customer=pushed.dune).count() == 1
