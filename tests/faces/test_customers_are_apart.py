"""A customer sees its own pages alone: another's do not exist, and the admin is closed."""

from __future__ import annotations

import pytest
from django.test import Client

from billing.models import Invoice, InvoiceState
from commits.models import Quarter, TrueUp
from tests.faces.conftest import LogIn
from tests.faces.world import PASSWORD, Cast

PAGES = ("/", "/usage/", "/quarters/", "/invoices/", "/true-ups/", "/password/")


def test_without_a_login_every_page_asks_for_one(db: None) -> None:
    for path in PAGES:
        answer = Client().get(path)
        assert answer.status_code == 302, path
        assert answer["Location"].startswith("/login/"), path


def test_a_customer_sees_its_own_figures(cast: Cast, log_in: LogIn) -> None:
    acme = log_in("acme-user")
    for path in PAGES:
        answer = acme.get(path)
        assert answer.status_code == 200, path
        assert "Acme" in answer.content.decode() or path == "/password/"
    body = acme.get("/").content.decode()
    assert "$11,681.54" in body
    assert 'title="11681.538595581120 dollars exactly"' in body
    assert "Bolt" not in body and "Dune" not in body


def test_anothers_quarter_and_invoice_are_not_found(pushed: Cast, log_in: LogIn) -> None:
    dune = log_in("dune-user")
    theirs = Invoice.objects.filter(customer=pushed.acme, state=InvoiceState.FINALIZED).first()
    quarter = Quarter.objects.get(commit=pushed.acme_commit, index=1)
    assert theirs is not None
    assert dune.get(f"/invoices/{theirs.pk}/").status_code == 404
    assert dune.get(f"/usage/?quarter={quarter.pk}").status_code == 404
    assert dune.get("/usage/?quarter=1%20OR%201").status_code == 404
    own = Invoice.objects.get(customer=pushed.dune)
    assert dune.get(f"/invoices/{own.pk}/").status_code == 200
    for path in PAGES:
        body = dune.get(path).content.decode()
        assert "Acme" not in body and "Bolt" not in body


def test_a_rate_is_explained_from_its_list_price(cast: Cast, log_in: LogIn) -> None:
    asked = {"model": "llama-3.3-70b", "mode": "batch", "meter": "input_tokens"}
    acme = log_in("acme-user")
    body = acme.get("/rate/", {**asked, "at": "2026-05-20T09:30"}).content.decode()
    for words in ("$0.44", "times 0.5", "Price protection", "20 %", "$0.000000352"):
        assert words in body
    for wrong in ({"model": "nothing"}, {"at": "2020-01-01T00:00"}, {"meter": "\0"}):
        assert acme.get("/rate/", {**asked, **wrong}).status_code == 404
    assert acme.get("/rate/", {**asked, "at": "nonsense"}).status_code == 200


def test_a_draft_invoice_is_not_shown(cast: Cast, log_in: LogIn) -> None:
    draft = Invoice.objects.filter(customer=cast.acme, state=InvoiceState.DRAFT).first()
    assert draft is not None
    assert log_in("acme-user").get(f"/invoices/{draft.pk}/").status_code == 404


@pytest.mark.parametrize("name", ["acme-user", "stray"])
def test_the_admin_is_closed_to_customers(cast: Cast, log_in: LogIn, name: str) -> None:
    client = log_in(name)
    close = f"/admin/commits/commit/{cast.bolt_commit.pk}/quarters/1/close/"
    for path in ("/admin/", "/admin/billing/customer/", close, f"{close}approve/"):
        answer = client.post(path) if path.endswith("approve/") else client.get(path)
        assert answer.status_code == 302, path
        assert answer["Location"].startswith("/admin/login/"), path
    assert Quarter.objects.get(commit=cast.bolt_commit, index=1).state == "planned"


def test_a_login_without_a_customer_sees_nothing(cast: Cast, log_in: LogIn) -> None:
    answer = log_in("stray").get("/")
    assert answer.status_code == 403
    assert "does not belong to a customer" in answer.content.decode()


def test_staff_go_to_the_admin(cast: Cast, log_in: LogIn) -> None:
    assert log_in("ada").get("/")["Location"] == "/admin/"


def test_login_logout_and_a_new_password(cast: Cast) -> None:
    client = Client()
    wrong = client.post("/login/", {"username": "acme-user", "password": "wrong"})
    assert wrong.status_code == 200 and "correct username" in wrong.content.decode()
    right = {"username": "acme-user", "password": PASSWORD}
    assert client.post("/login/", right)["Location"] == "/"
    assert client.post("/login/?next=https://evil.example/", right)["Location"] == "/"
    new = {"new_password1": "a-new-long-word-9", "new_password2": "a-new-long-word-9"}
    changed = client.post("/password/", {"old_password": PASSWORD, **new})
    assert changed["Location"] == "/password/changed/"
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/")["Location"].startswith("/login/")


def test_pages_carry_a_strict_content_policy_and_no_script(cast: Cast, log_in: LogIn) -> None:
    acme = log_in("acme-user")
    for path in PAGES:
        answer = acme.get(path)
        assert "default-src 'none'" in answer["Content-Security-Policy"], path
        body = answer.content.decode()
        assert "<script" not in body and " style=" not in body and "onclick" not in body, path
        assert "private" in answer["Cache-Control"], path


def test_a_preview_changes_nothing_and_a_request_waits(cast: Cast, log_in: LogIn) -> None:
    acme = log_in("acme-user")
    answer = acme.post("/true-ups/", {"amount": "10000", "preview": ""})
    assert "Saves nothing against plain overage" in answer.content.decode()
    assert not TrueUp.objects.filter(commit=cast.acme_commit).exists()
    assert acme.post("/true-ups/", {"amount": "10000", "send": ""})["Location"] == "/true-ups/"
    asked = TrueUp.objects.get(commit=cast.acme_commit)
    assert (asked.state, asked.requested_by) == ("requested", "customer:acme:acme-user")


@pytest.mark.parametrize("amount", ["", "-5", "0", "10.001", "NaN", "abc"])
def test_an_impossible_true_up_is_refused(cast: Cast, log_in: LogIn, amount: str) -> None:
    answer = log_in("acme-user").post("/true-ups/", {"amount": amount, "send": ""})
    assert answer.status_code in (200, 400)
    assert 'role="alert"' in answer.content.decode()
    assert not TrueUp.objects.filter(commit=cast.acme_commit).exists()


def test_the_estimate_bills_each_instalment_once(cast: Cast, log_in: LogIn) -> None:
    """Bolt's first quarter waits in its close while the second runs."""
    body = log_in("bolt-user").get("/").content.decode()
    assert "$7,130.98" in body
    assert "$10,861.53" in body and "$12,000.00" not in body
