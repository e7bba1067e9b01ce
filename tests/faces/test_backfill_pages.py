"""Backfills in the admin: staged by one, seen in money, applied by another; and cross-checks."""

import json
from datetime import timedelta

from commits.models import Backfill
from metering.models import ReportedTotal, UsageEvent
from tests.faces.conftest import LogIn
from tests.faces.world import NOW, Cast


def test_one_stages_and_another_applies(cast: Cast, log_in: LogIn) -> None:
    ada, ben = log_in("ada"), log_in("ben")
    event = {
        "specversion": "1.0", "id": "missed", "source": "gateway", "subject": "acme",
        "time": "2026-02-01T00:00:00Z", "type": "inference.tokens",
        "data": {"model": "llama", "mode": "serverless", "input_tokens": 5, "output_tokens": 5},
    }  # fmt: skip
    given = {
        "source": "gateway", "kind": "add", "starts_at": "2026-02-01 00:00",
        "ends_at": "2026-02-02 00:00", "customers": [cast.acme.pk], "reason": "lost a day",
        "events": json.dumps([event]),
    }  # fmt: skip
    add = "/admin/commits/backfill/add/"
    for wrong in ({"events": "[{"}, {"ends_at": "2026-01-01 00:00"}, {"source": "other"}):
        assert ada.post(add, given | wrong).status_code in (200, 400)
        assert not Backfill.objects.exists(), wrong
    assert ada.post(add, given).status_code == 302
    page = f"/admin/commits/backfill/{Backfill.objects.get().pk}"
    body = ada.get(f"{page}/change/").content.decode()
    assert "acme, if applied now" in body and "Take it back" in body
    ada.post(f"{page}/approve/")
    assert not UsageEvent.objects.filter(event_id="missed").exists(), "four eyes"
    ben.post(f"{page}/approve/")
    assert UsageEvent.objects.filter(event_id="missed").count() == 1
    assert "Approved" in ada.get(f"{page}/change/").content.decode()


def test_differences_of_the_last_days_are_listed(cast: Cast, log_in: LogIn) -> None:
    hour = NOW.replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    ReportedTotal.objects.create(
        customer=cast.acme, hour=hour, model="ghost", mode="serverless", meter="output_tokens",
        source="s", quantity=7, reported_at=NOW,
    )  # fmt: skip
    body = log_in("ada").get("/admin/metering/reportedtotal/").content.decode()
    assert "ghost" in body and "Cross-checks of usage" in body
