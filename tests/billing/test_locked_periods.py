"""A month is locked by one, unlocked by two with a reason, and by nothing else."""

from datetime import date

import pytest
from django.db import IntegrityError, connection, transaction
from rest_framework.test import APIClient

from billing.domain.errors import Conflict
from billing.models import AccountingPeriod, AuditEvent, Customer, PeriodUnlock
from billing.services import accounting_periods, clock, ledger, proof
from tests.billing import cast
from tests.billing.conftest import Caller

pytestmark = pytest.mark.django_db

PERIODS = "/api/v1/accounting-periods"


@pytest.fixture(autouse=True)
def in_april(db: None) -> None:
    clock.set_sandbox_clock(to=cast.NOW, real_now=clock.real_now())


@pytest.fixture
def ada(caller: Caller) -> APIClient:
    return caller(cast.finance_key("ada"))


@pytest.fixture
def ben(caller: Caller) -> APIClient:
    return caller(cast.finance_key("ben"))


def locked(ada: APIClient, month: str = "2026-03") -> None:
    assert ada.post(PERIODS, {"month": month}, format="json").status_code == 201


def test_a_month_is_locked_once_and_says_by_whom(ada: APIClient, ben: APIClient) -> None:
    locked(ada)
    locked(ben)
    (period,) = ada.get(PERIODS).json()["results"]
    assert (period["month"], period["state"], period["locked_by"]) == ("2026-03", "locked", "ada")
    assert ledger.first_open_date(not_before=date(2026, 3, 9)) == date(2026, 4, 1)


@pytest.mark.parametrize(
    ("month", "code"),
    [
        ("2026-04", "month_not_over"), ("2027-01", "month_not_over"),
        ("2026-13", "invalid_month"), ("2026-3", "invalid_month"), ("March", "invalid_month"),
        ("0000-01", "invalid_month"), ("", "invalid_input"),
    ],
)  # fmt: skip
def test_what_is_no_month_that_is_over_is_refused(ada: APIClient, month: str, code: str) -> None:
    answer = ada.post(PERIODS, {"month": month}, format="json")
    assert answer.json()["code"] == code
    assert not AccountingPeriod.objects.exists()


def test_two_people_and_a_reason_unlock_it(ada: APIClient, ben: APIClient, acme: Customer) -> None:
    locked(ada)
    for reason in ("", "  "):
        refused = ada.post(f"{PERIODS}/2026-03/unlock", {"reason": reason}, format="json")
        assert refused.status_code == 422
    asked = ada.post(f"{PERIODS}/2026-03/unlock", {"reason": "a bank fee"}, format="json").json()
    again = ben.post(f"{PERIODS}/2026-03/unlock", {"reason": "me too"}, format="json")
    assert again.json()["code"] == "unlock_requested"
    approve = f"/api/v1/period-unlocks/{asked['id']}/approve"
    assert ada.post(approve).json()["code"] == "maker_is_checker"
    entry = cast.usage_entry(acme, "early", "5", on=date(2026, 3, 31))
    with pytest.raises(Conflict), transaction.atomic():
        ledger.post_entry(entry=entry, now=cast.NOW)
    assert ben.post(approve).json()["state"] == "approved"
    assert ben.post(approve).json()["decided_by"] == "ben"
    ledger.post_entry(entry=entry, now=cast.NOW)
    (period,) = ada.get(PERIODS).json()["results"]
    assert (period["state"], period["unlocks"][0]["reason"]) == ("unlocked", "a bank fee")
    trail = AuditEvent.objects.filter(object_type__in=("accounting_period", "period_unlock"))
    assert list(trail.order_by("pk").values_list("actor_name", "action")) == [
        ("ada", "lock"), ("ada", "request"), ("ben", "approve"), ("ben", "unlock"),
    ]  # fmt: skip
    locked(ben)
    assert [one["state"] for one in ada.get(PERIODS).json()["results"]] == ["locked", "unlocked"]
    assert proof.ledger_problems() == []


def test_a_rejected_request_leaves_it_locked(ada: APIClient, ben: APIClient) -> None:
    locked(ada)
    asked = ada.post(f"{PERIODS}/2026-03/unlock", {"reason": "x"}, format="json").json()
    reject = f"/api/v1/period-unlocks/{asked['id']}/reject"
    no = ben.post(reject, {"reason": "audited"}, format="json")
    assert (no.json()["state"], no.json()["rejected_because"]) == ("rejected", "audited")
    late = ben.post(f"/api/v1/period-unlocks/{asked['id']}/approve")
    assert late.json()["code"] == "not_open"
    assert AccountingPeriod.objects.get().unlocked_at is None
    missing = ada.post(f"{PERIODS}/2026-02/unlock", {"reason": "x"}, format="json")
    assert missing.json()["code"] == "period_not_locked"


def test_customers_and_agents_have_no_say(acme: Customer, ada: APIClient, caller: Caller) -> None:
    locked(ada)
    for key in (cast.customer_key(acme), cast.agent_key()):
        other = caller(key)
        assert other.get(PERIODS).status_code == 403
        assert other.post(PERIODS, {"month": "2026-02"}, format="json").status_code == 403
        unlock = other.post(f"{PERIODS}/2026-03/unlock", {"reason": "x"}, format="json")
        assert unlock.status_code == 403
    assert AccountingPeriod.objects.count() == 1 and not PeriodUnlock.objects.exists()


UNLOCK = "UPDATE billing_accountingperiod SET unlocked_at = now()"
APPROVE = "UPDATE billing_periodunlock SET state = 'approved', decided_by = 'ben'"


@pytest.mark.parametrize(
    ("sentence", "statement"),
    [
        ("two people agreed on", UNLOCK),
        ("two people agreed on", "UPDATE billing_accountingperiod SET locked_by = 'ben'"),
        ("two people agreed on", "UPDATE billing_accountingperiod SET month = '2026-02-01'"),
        ("never deleted", "DELETE FROM billing_accountingperiod"),
        ("approved_by_another", "UPDATE billing_periodunlock SET state = 'approved'"),
        ("approved_by_another", APPROVE.replace("ben", "ada")),
        ("keeps who asked", APPROVE + ", requested_by = 'cy'"),
        ("keeps its period and its reason", "UPDATE billing_periodunlock SET reason = 'y'"),
        ("decided once", f"{APPROVE}; {APPROVE.replace('ben', 'cy')}"),
        ("two people agreed on", f"{APPROVE}; {UNLOCK}; {UNLOCK}"),
        ("two people agreed on", f"{APPROVE}; {UNLOCK}; {UNLOCK.replace('now()', 'NULL')}"),
        ("never deleted", "DELETE FROM billing_periodunlock"),
        (
            "asked for before it is decided",
            """INSERT INTO billing_periodunlock SELECT gen_random_uuid(), 'approved', requested_at,
               'x', requested_at, 'y', '', 'z', period_id FROM billing_periodunlock""",
        ),
        (
            "one_open_request_to_unlock",
            """INSERT INTO billing_periodunlock SELECT gen_random_uuid(), 'requested',
               requested_at, 'x', NULL, '', '', 'z', period_id FROM billing_periodunlock""",
        ),
        (
            "a_month_is_locked_once",
            """INSERT INTO billing_accountingperiod (month, locked_at, locked_by)
               VALUES ('2026-03-01', now(), 'ada')""",
        ),
        (
            "begins_on_the_first",
            """INSERT INTO billing_accountingperiod (month, locked_at, locked_by)
               VALUES ('2026-02-02', now(), 'ada')""",
        ),
    ],
)
def test_plain_sql_does_not_unlock_it(ada: APIClient, sentence: str, statement: str) -> None:
    locked(ada)
    period = AccountingPeriod.objects.get()
    accounting_periods.request_unlock(
        period_id=period.pk, reason="x", actor_name="ada", now=cast.NOW
    )
    with (
        pytest.raises(IntegrityError, match=sentence),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert AccountingPeriod.objects.get(unlocked_at=None).month == date(2026, 3, 1)
    assert PeriodUnlock.objects.get().state == "requested"


def test_they_are_never_emptied(ada: APIClient) -> None:
    locked(ada)
    with (
        pytest.raises(IntegrityError, match="never emptied"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("TRUNCATE billing_accountingperiod CASCADE")
    assert AccountingPeriod.objects.exists()
