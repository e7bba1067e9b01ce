"""From the pages of the books to the events behind them, over real data."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User

from billing.models import ApiKeyKind, Invoice, InvoiceLine, JournalEntry, Posting
from commits.models import Close, Grant
from tests.api_clients import api_client
from tests.faces.conftest import LogIn
from tests.faces.world import NOW, Cast


def body_of(log_in: LogIn, path: str) -> str:
    answer = log_in("ada").get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def test_an_entry_leads_from_each_posting_to_its_events(cast: Cast, log_in: LogIn) -> None:
    entry = JournalEntry.objects.filter(code="usage.drawdown", customer=cast.acme).latest("pk")
    page = body_of(log_in, f"/admin/billing/journalentry/{entry.pk}/change/")
    for posting in entry.postings.all():
        path = f"/admin/commits/grant/postings/{posting.pk}/"
        assert f'href="{path}"' in page
        explained = body_of(log_in, path)
        assert "Recomputed from the events" in explained
        assert "llama-2026-05-19" in explained, "the event itself is named"
        assert "come to something else" not in explained


def test_an_invoice_line_leads_to_what_it_bills(pushed: Cast, log_in: LogIn) -> None:
    close = Close.objects.get(quarter__commit=pushed.bolt_commit)
    approve = f"/admin/commits/commit/{pushed.bolt_commit.pk}/quarters/1/close/approve/"
    log_in("ada").post(approve, {"digest": close.digest})
    invoice = Invoice.objects.get(customer=pushed.bolt, occasion="close")
    page = body_of(log_in, f"/admin/billing/invoice/{invoice.pk}/change/")
    for line in invoice.lines.all():
        path = f"/admin/commits/grant/lines/{line.pk}/"
        assert f'href="{path}"' in page
        explained = body_of(log_in, path)
        assert ("Overage shared by the close" if line.kind == "overage" else "Why") in explained


def test_a_grant_tells_the_way_of_its_money(cast: Cast, log_in: LogIn) -> None:
    grant = Grant.objects.get(kind="rollover", quarter__commit=cast.acme_commit)
    assert "Acme" in body_of(log_in, "/admin/commits/grant/")
    page = body_of(log_in, f"/admin/commits/grant/{grant.pk}/change/")
    assert "The way of this money" in page and "instalment of Q1" in page


@pytest.mark.parametrize("kind", ["postings", "lines"])
def test_what_is_not_there_is_not_found(cast: Cast, log_in: LogIn, kind: str) -> None:
    assert log_in("ada").get(f"/admin/commits/grant/{kind}/0/").status_code == 404


def test_explanations_need_the_permission_to_see_what_they_explain(
    cast: Cast, log_in: LogIn
) -> None:
    posting, line = Posting.objects.latest("pk"), InvoiceLine.objects.latest("pk")
    paths = [
        f"/admin/commits/grant/postings/{posting.pk}/",
        f"/admin/commits/grant/lines/{line.pk}/",
    ]
    assert [log_in("vera").get(path).status_code for path in paths] == [403, 403]
    vera = User.objects.get(username="vera")
    vera.user_permissions.add(Permission.objects.get(codename="view_invoice"))
    assert [log_in("vera").get(path).status_code for path in paths] == [403, 200]


def test_the_api_names_what_can_be_explained(cast: Cast) -> None:
    user = User.objects.get(username="ada")
    finance = api_client(ApiKeyKind.FINANCE, now=NOW, user=user)
    balance = finance.get("/api/v1/customers/acme/balance").json()
    for grant in balance["grants"]:
        told = finance.get(f"/api/v1/explain/grants/{grant['id']}").json()
        assert (told["id"], told["kind"]) == (grant["id"], grant["kind"])
    invoice = finance.get("/api/v1/customers/acme/invoices").json()["results"][0]
    for line in invoice["lines"]:
        told = finance.get(f"/api/v1/explain/invoice-lines/{line['id']}").json()
        assert told["amount_cents"] == line["amount_cents"]
    entry = finance.get("/api/v1/customers/acme/entries").json()["results"][0]
    for posting in entry["postings"]:
        told = finance.get(f"/api/v1/explain/postings/{posting['id']}").json()
        assert (told["amount"], told["account"]) == (posting["amount"], posting["account"])
