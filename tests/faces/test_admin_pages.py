"""Every page of the admin answers, over real data, to those who may see it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from billing.admin.base import ReadOnlyAdmin, RecordAdmin
from billing.models import AuditEvent, Invoice, JournalEntry, LedgerAccount
from commits.models import Close
from tests.faces.conftest import LogIn
from tests.faces.world import Cast

OURS = [
    (model, model_admin)
    for model, model_admin in admin.site._registry.items()
    if isinstance(model_admin, ReadOnlyAdmin)
]


def pages(cast: Cast) -> Iterator[str]:
    """One address of every kind of page."""
    yield "/admin/"
    yield "/admin/commits/close/queue/"
    yield "/admin/billing/ledgeraccount/trial-balance/"
    yield f"/admin/billing/ledgeraccount/trial-balance/?as_of=2026-03-31&customer={cast.acme.pk}"
    for commit in (cast.acme_commit, cast.bolt_commit):
        for index in range(1, 6):
            yield f"/admin/commits/commit/{commit.pk}/quarters/{index}/close/"
    for model, model_admin in OURS:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{name}_changelist")
        if isinstance(model_admin, RecordAdmin):
            yield reverse(f"{name}_add")
        first = model._default_manager.first()
        if first is not None:
            yield reverse(f"{name}_change", args=[first.pk])


def test_every_page_answers(pushed: Cast, log_in: LogIn) -> None:
    ada = log_in("ada")
    seen = list(pages(pushed))
    assert len(seen) > 50
    for path in seen:
        answer = ada.get(path, follow=True)
        assert answer.status_code == 200, path
        assert "Sandbox clock 2026-05-20" in answer.content.decode(), path


def test_entries_show_balanced_postings_and_three_dates(pushed: Cast, log_in: LogIn) -> None:
    entry = JournalEntry.objects.filter(code="usage.drawdown", customer=pushed.acme).latest("pk")
    body = log_in("ada").get(f"/admin/billing/journalentry/{entry.pk}/change/").content.decode()
    for words in ("Balanced.", "Debit", "Credit", "Accounting date (UTC)", "Usage date (UTC)"):
        assert words in body
    assert "2026-05-19" in body and "dollars exactly" in body


def test_the_trial_balance_balances_and_goes_by_customer(cast: Cast, log_in: LogIn) -> None:
    ada = log_in("ada")
    page = "/admin/billing/ledgeraccount/trial-balance/"
    assert "Debits equal credits." in ada.get(page).content.decode()
    before = ada.get(f"{page}?as_of=2025-01-01").content.decode()
    assert "Nothing is booked." in before


def test_the_queue_says_why(cast: Cast, log_in: LogIn) -> None:
    body = log_in("ada").get("/admin/commits/close/queue/").content.decode()
    assert "Bolt, Q1" in body and "The commit states no limit" in body
    assert "Acme, Q1" not in body


def test_a_preview_shows_figures_grants_lines_and_digest(cast: Cast, log_in: LogIn) -> None:
    path = f"/admin/commits/commit/{cast.bolt_commit.pk}/quarters/1/close/"
    body = log_in("ada").get(path).content.decode()
    close = Close.objects.get(quarter__commit=cast.bolt_commit)
    for words in ("A human is needed", "Grants, in draw order", "Planned invoice lines"):
        assert words in body
    assert close.digest in body and "$7,130.98" in body
    running = path.replace("/quarters/1/", "/quarters/2/")
    body = log_in("ada").get(running).content.decode()
    assert "A preview: the quarter may close from 2026-07-04 00:00 UTC on." in body
    assert "Approve exactly these figures" not in body


def test_nothing_of_the_books_can_be_added_changed_or_deleted(pushed: Cast, log_in: LogIn) -> None:
    root = log_in("root")
    for model in (JournalEntry, LedgerAccount, Invoice, AuditEvent, Close):
        first = model._default_manager.first()
        assert first is not None
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        assert root.get(reverse(f"{name}_add")).status_code == 403
        assert root.get(reverse(f"{name}_delete", args=[first.pk])).status_code == 403
        rows = model._default_manager.order_by("pk").values()
        before = list(rows)
        assert root.post(reverse(f"{name}_change", args=[first.pk]), {}).status_code == 403
        assert list(rows.all()) == before
        body = root.get(reverse(f"{name}_changelist")).content.decode()
        assert "/add/" not in body.split("<main", 1)[-1].split('id="changelist"')[-1]


def test_staff_without_a_role_see_nothing(cast: Cast, log_in: LogIn) -> None:
    vera = log_in("vera")
    assert vera.get("/admin/").status_code == 200
    for path in pages(cast):
        if path != "/admin/":
            assert vera.get(path).status_code == 403, path


def test_staff_with_the_view_permission_look_and_cannot_act(cast: Cast, log_in: LogIn) -> None:
    vera = User.objects.get(username="vera")
    vera.user_permissions.add(*Permission.objects.filter(codename__startswith="view_"))
    client = log_in("vera")
    path = f"/admin/commits/commit/{cast.bolt_commit.pk}/quarters/1/close/"
    assert "Approve exactly" not in client.get(path).content.decode()
    assert client.post(f"{path}approve/", {"digest": "x"}).status_code == 403
    assert client.post(f"/admin/commits/trueup/{cast.true_up.pk}/approve/").status_code == 403
    assert client.get("/admin/commits/commit/add/").status_code == 403
    cast.true_up.refresh_from_db()
    assert cast.true_up.state == "requested"


@pytest.mark.parametrize("path", ["close/queue/", "commit/", "commit/add/"])
def test_without_a_login_the_admin_asks_for_one(db: None, path: str) -> None:
    answer = Client().get(f"/admin/commits/{path}")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")
