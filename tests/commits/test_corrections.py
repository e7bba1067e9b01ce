"""A correction shows its money effect per quarter first; applied, it has exactly that effect."""

from datetime import datetime
from decimal import Decimal as D
from functools import partial
from typing import Any

import pytest

from billing.domain.errors import Conflict, InvalidInput
from billing.models import ApiKeyKind, AuditEvent, Customer, JournalEntry
from billing.services import proof as billing_proof
from commits.models import Commit
from commits.services import closes, corrections, daily, proof
from commits.services.corrections import Correction
from metering.models import UsageEvent
from tests.api_clients import api_client
from tests.commits.world import at, figures, use

pytestmark = pytest.mark.django_db(transaction=True)

NOW = at("2026-05-02")


def replacement(customer: Customer, dollars: int, **more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": "instead", "source": "test", "subject": customer.key,
        "time": "2026-02-01T00:00:00Z", "type": "inference.usage",
        "data": {"model": "any", "mode": "serverless", "quantities": {"dollars": dollars}}, **more,
    }  # fmt: skip


@pytest.fixture
def closed(acme: Customer, commit: Commit) -> Customer:
    """Q1 used 22,000 of 30,000 and is posted; Q2 has used 41,500 so far."""
    use(acme, "20000", "2026-02-01", now=at("2026-02-01"), event_id="most")
    use(acme, "2000", "2026-03-01", now=at("2026-03-01"))
    closes.run_closes(as_of=at("2026-04-04"), now=at("2026-04-04"))
    use(acme, "41500", "2026-05-01", now=at("2026-05-01"))
    daily.draw_down(now=at("2026-05-01"))
    return acme


def test_the_preview_says_what_applying_it_does(closed: Customer, commit: Commit) -> None:
    wanted = Correction([("test", "most")], "counted twice", [replacement(closed, 12_500)])
    before = figures(commit)
    stored = (UsageEvent.objects.count(), JournalEntry.objects.count())
    seen = corrections.preview_correction(customer=closed, correction=wanted, now=NOW)
    assert figures(commit) == before
    assert (UsageEvent.objects.count(), JournalEntry.objects.count()) == stored
    assert seen.used_difference == D(-7500)
    assert [one.index for one in seen.quarters if one.is_changed] == [1, 2]
    first, second = seen.quarters[:2]
    assert (first.before.used, first.after.used, first.after.rolled_out) == (
        D(22_000), D(14_500), D(15_500),
    )  # fmt: skip
    assert (second.before.overage, second.after.overage) == (D(3500), D(0))
    assert (seen.invoice_before_cents, seen.invoice_after_cents) == (3_350_000, 3_000_000)
    result = corrections.apply_correction(
        customer=closed, correction=wanted, actor_name="ada", now=NOW
    )
    assert (result.accepted, result.refused) == (2, [])
    daily.draw_down(now=NOW)
    applied = corrections._read(closed)
    assert [found[2] for found in applied.quarters.values()] == [one.after for one in seen.quarters]
    assert applied.invoice_cents == seen.invoice_after_cents
    trail = AuditEvent.objects.get(action="correct")
    assert (trail.actor_name, trail.details["voids"]) == ("ada", ["test most"])
    assert [*billing_proof.ledger_problems(), *proof.commit_problems()] == []


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"voids": []}, "invalid_correction"),
        ({"reason": "  "}, "invalid_correction"),
        ({"voids": [("test", "never")]}, "correction_refused"),
        ({"voids": [("test", "most"), ("test", "never")]}, "correction_refused"),
        ({"replacements": [{"id": "x", "subject": "acme"}]}, "correction_refused"),
        ({"replacements": [{"id": "x", "subject": "bolt"}]}, "invalid_correction"),
    ],
)
def test_a_correction_is_taken_in_whole_or_not_at_all(
    closed: Customer, wrong: dict[str, Any], code: str
) -> None:
    wanted = Correction(**{"voids": [("test", "most")], "reason": "x", **wrong})
    count = UsageEvent.objects.count()
    for act in (corrections.preview_correction, corrections.apply_correction):
        who: dict[str, Any] = {} if act == corrections.preview_correction else {"actor_name": "ada"}
        with pytest.raises(InvalidInput) as refused:
            act(customer=closed, correction=wanted, now=NOW, **who)
        assert refused.value.code == code
    assert UsageEvent.objects.count() == count
    assert not AuditEvent.objects.filter(action="correct").exists()


def test_over_rest_by_finance_alone(closed: Customer) -> None:
    client = partial(api_client, now=NOW)
    finance = client(ApiKeyKind.FINANCE, name="ada")
    path = "/api/v1/customers/acme/corrections"
    body = {"voids": [{"source": "test", "id": "most"}], "reason": "counted twice"}
    for other in (client(ApiKeyKind.CUSTOMER, customers=[closed]), client(ApiKeyKind.AGENT)):
        assert other.post(f"{path}?preview=true", body, format="json").status_code == 403
    preview = finance.post(f"{path}?preview=true", body, format="json").json()
    assert preview["used_difference"] == "-20000.000000000000"
    assert preview["quarters"][0]["after"]["used"] == "2000.000000000000"
    done = finance.post(path, body, format="json", headers={"Idempotency-Key": "k"})
    assert (done.status_code, done.json()["accepted"]) == (201, 1)
    again = finance.post(path, body, format="json", headers={"Idempotency-Key": "k"})
    assert again.json() == done.json()
    twice = finance.post(path, body, format="json")
    assert (twice.status_code, twice.json()["code"]) == (422, "correction_refused")
    assert finance.post("/api/v1/customers/no/corrections", body, format="json").status_code == 404


def test_it_is_applied_as_it_was_seen(closed: Customer, commit: Commit) -> None:
    """Usage that it does not touch may come meanwhile; what changes its effect may not."""
    wanted = Correction([("test", "most")], "counted twice", [replacement(closed, 18_000)])

    def apply(digest: str, when: datetime) -> None:
        corrections.apply_correction(
            customer=closed, correction=wanted, actor_name="ada", now=when, expected_digest=digest
        )

    seen = corrections.preview_correction(customer=closed, correction=wanted, now=NOW)
    use(closed, "3", "2026-05-01", now=NOW)
    again = corrections.preview_correction(customer=closed, correction=wanted, now=NOW)
    assert seen.digest == again.digest
    later = at("2026-07-05")
    closes.run_closes(as_of=later, now=later)
    before = figures(commit)
    with pytest.raises(Conflict) as refused:
        apply(seen.digest, later)
    assert refused.value.code == "preview_changed"
    assert figures(commit) == before
    after = corrections.preview_correction(customer=closed, correction=wanted, now=later)
    apply(after.digest, later)
    assert figures(commit) != before
    assert proof.commit_problems() == []
