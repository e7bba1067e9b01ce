"""What somebody with bad intentions, or a bad keyboard, tries on the pages."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from billing.config.content_security import ADMIN, NOTHING
from billing.domain.errors import InvalidInput
from billing.domain.text import has_control_characters
from billing.models import ApiKey, Customer
from billing.services import customers
from tests.faces.conftest import LogIn
from tests.faces.world import NOW, Cast


def test_an_id_that_cannot_be_is_not_found_in_every_admin(cast: Cast, log_in: LogIn) -> None:
    root = log_in("root")
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        for wrong in ("\0", "nul\0", "' OR 1=1", "9" * 40, "é", "../.."):
            for page in ("change", "delete", "history"):
                answer = root.get(reverse(f"{name}_{page}", args=[wrong]), follow=True)
                assert answer.status_code in (200, 403, 404), (name, page, wrong)


def test_a_list_asked_for_nonsense_answers(cast: Cast, log_in: LogIn) -> None:
    root = log_in("root")
    for model in admin.site._registry:
        listed = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for query in ("q=%00", "p=-1", "p=9999999", "o=99.-99", "id=%00", "id__exact=x", "e=1"):
            answer = root.get(f"{listed}?{query}", follow=True)
            assert answer.status_code in (200, 400, 404), (listed, query)


def test_every_answer_states_a_policy(cast: Cast, log_in: LogIn) -> None:
    for path in ("/healthz", "/api/schema/", "/api/v1/customers", "/api/nowhere"):
        assert Client().get(path)["Content-Security-Policy"] == NOTHING, path
    for path in ("/admin/", "/admin/login/", "/admin/billing/invoice/"):
        assert log_in("ada").get(path)["Content-Security-Policy"] == ADMIN, path
    for path in ("/", "/usage/", "/login/", "/password/", "/nowhere/"):
        policy = log_in("acme-user").get(path)["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'self';"), path
    assert "unsafe-inline" not in ADMIN.split("style-src")[0]


@pytest.mark.parametrize("bad", ["\r\nBcc: all@example.com", "\n", "\0", "\t", "\u2028", "\x7f"])
def test_a_customer_has_no_line_breaks(db: None, bad: str) -> None:
    good: dict[str, Any] = {"key": "echo", "name": "Echo", "email": "echo@example.com"}
    for field in ("key", "name", "email", "timezone"):
        given = {**good, field: f"{good.get(field, 'UTC')}{bad}x"}
        with pytest.raises(InvalidInput):
            customers.create_customer(**given, now=NOW)
    with pytest.raises(InvalidInput):
        customers.create_customer(**{**good, "email": f"echo@example.com{bad}"}, now=NOW)
    assert not Customer.objects.exists()
    assert not has_control_characters("Zoë & Söhne, 東京 - \u00a0O'Neill")


def test_nobody_makes_himself_a_second_person(cast: Cast, log_in: LogIn) -> None:
    ben = User.objects.get(username="ben")
    count = ApiKey.objects.count()
    given = {"kind": "finance", "name": "mine", "user": ben.pk}
    refused = log_in("ada").post("/admin/billing/apikey/add/", given)
    assert (refused.status_code, ApiKey.objects.count()) == (400, count)
    own = {**given, "user": User.objects.get(username="ada").pk}
    assert "fin_" in log_in("ada").post("/admin/billing/apikey/add/", own).content.decode()
    assert "fin_" in log_in("root").post("/admin/billing/apikey/add/", given).content.decode()


def test_a_double_click_does_it_once(cast: Cast, log_in: LogIn) -> None:
    ben = log_in("ben")
    path = f"/admin/commits/trueup/{cast.true_up.pk}/approve/"
    for _ in range(2):
        assert ben.post(path).status_code == 302
    cast.true_up.refresh_from_db()
    assert cast.true_up.state == "approved"
    quarters = cast.true_up.through_quarter - cast.true_up.from_quarter + 1
    assert cast.true_up.grants.count() <= quarters
    late = ben.post(path.replace("approve", "reject"), {"reason": "x"}, follow=True)
    assert "Nothing was changed" in late.content.decode()


def test_the_admins_acts_are_nobodys_but_finances(cast: Cast, log_in: LogIn) -> None:
    true_up = f"/admin/commits/trueup/{cast.true_up.pk}/approve/"
    for name in ("acme-user", "bolt-user", "stray"):
        for path in (true_up, "/admin/commits/commit/correct-usage/", "/admin/billing/creditnote/"):
            assert log_in(name).post(path).status_code == 302, "to the login"
    assert Client(enforce_csrf_checks=True).post(true_up).status_code == 403
    cast.true_up.refresh_from_db()
    assert cast.true_up.state == "requested"
