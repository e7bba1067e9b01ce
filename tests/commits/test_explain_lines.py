"""An invoice line is explained by the close that shared it, the entries and the events behind it;
a grant by the way of its money. By the API and by `manage.py explain` alike."""

import json
from datetime import datetime
from decimal import Decimal
from functools import partial
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from billing.models import ApiKeyKind, Customer, InvoiceLine, Posting
from commits.models import Commit, Grant
from commits.services import closes, daily, explain
from tests.api_clients import api_client
from tests.commits.world import at, make_customer, use

pytestmark = pytest.mark.django_db(transaction=True)
APRIL, JULY = at("2026-04-04"), at("2026-07-04")


def close(now: datetime) -> None:
    closes.run_closes(as_of=now, now=now)


@pytest.fixture
def story(acme: Customer, commit: Commit) -> Commit:
    """Q1 with overage at two meters; Q2 with late usage of Q1 and what Q1's grace let pass."""
    use(acme, "31000.25", "2026-01-10", now=at("2026-01-11"), event_id="whole")
    use(acme, "2000", "2026-02-10", now=at("2026-02-11"), event_id="second")
    daily.draw_down(now=at("2026-02-12"))
    close(APRIL)
    use(acme, "40", "2026-03-10", now=at("2026-05-01"), event_id="late")
    daily.draw_down(now=at("2026-05-01"))
    close(JULY)
    return commit


def test_an_overage_line_leads_to_its_group_its_entries_and_its_events(story: Commit) -> None:
    line = InvoiceLine.objects.get(kind="overage", meter="dollars")
    usage = explain.explain_invoice_line(id=line.pk).usage
    assert usage is not None and usage.share is not None
    assert usage.agrees
    assert (usage.share.group_quantity, usage.share.overage) == (33000, Decimal("3000.25"))
    assert [(g.quantity, g.rate.rate) for g in usage.recounted.groups] == [(33000, Decimal(1))]
    assert [event.id for event in usage.recounted.events] == ["whole", "second"]
    assert sum(e.drawn + e.overage for e in usage.entries) == Decimal("33000.25")
    owned = Posting.objects.filter(entry__in=[e.id for e in usage.entries])
    assert sorted(pk for e in usage.entries for pk in e.postings) == sorted(
        owned.values_list("pk", flat=True)
    )


def test_the_line_of_another_meter_names_only_its_events(story: Commit) -> None:
    line = InvoiceLine.objects.get(kind="overage", meter="micros")
    usage = explain.explain_invoice_line(id=line.pk).usage
    assert usage is not None
    assert [event.id for event in usage.recounted.events] == ["whole"]
    assert usage.recounted.amount == Decimal("0.25")
    assert usage.agrees


def test_a_late_line_leads_to_the_late_entry_and_event_alone(story: Commit) -> None:
    line = InvoiceLine.objects.get(kind="late_usage")
    usage = explain.explain_invoice_line(id=line.pk).usage
    assert usage is not None
    assert [event.id for event in usage.recounted.events] == ["late"]
    assert [entry.code for entry in usage.entries] == ["usage.late"]
    assert usage.agrees


def test_a_late_line_of_a_later_close_leaves_out_what_was_billed(
    acme: Customer, story: Commit
) -> None:
    use(acme, "50", "2026-03-11", now=at("2026-08-01"), event_id="later")
    daily.draw_down(now=at("2026-08-01"))
    close(at("2026-10-04"))
    line = InvoiceLine.objects.filter(kind="late_usage").latest("pk")
    usage = explain.explain_invoice_line(id=line.pk).usage
    assert usage is not None
    assert [event.id for event in usage.recounted.events] == ["later"]
    assert usage.agrees


def test_an_instalment_line_leads_to_its_grant_and_back(story: Commit) -> None:
    line = InvoiceLine.objects.filter(kind="instalment", quarter_index=2).get()
    grant = explain.explain_invoice_line(id=line.pk).grant
    assert grant is not None
    assert grant.why == "instalment of Q2, signed as $30,000.00"
    assert grant.invoice_lines == (line.pk,)


def test_a_rolled_grant_tells_the_way_of_its_money(acme: Customer, story: Commit) -> None:
    rolled = Grant.objects.get(kind="rollover", quarter__index=3)
    found = explain.explain_grant(id=rolled.pk)
    assert [(step.quarter, step.kind, step.amount) for step in found.way] == [
        (2, "instalment", Decimal(30000)), (3, "rollover", Decimal(30000)),
    ]  # fmt: skip
    assert len(found.entries) == 1
    assert found.times_rolled == 1


def test_the_api_answers_finance_and_the_customer_itself_alone(
    acme: Customer, story: Commit
) -> None:
    bolt = make_customer("bolt")
    line = InvoiceLine.objects.get(kind="late_usage")
    posting = Posting.objects.filter(entry__code="usage.late")[0]
    grant = Grant.objects.filter(kind="instalment")[0]
    addresses = [
        f"/api/v1/explain/invoice-lines/{line.pk}",
        f"/api/v1/explain/postings/{posting.pk}",
        f"/api/v1/explain/grants/{grant.pk}",
    ]
    client = partial(api_client, now=APRIL)
    finance = client(ApiKeyKind.FINANCE, name="ada")
    own = client(ApiKeyKind.CUSTOMER, customers=[acme])
    other = client(ApiKeyKind.CUSTOMER, customers=[bolt])
    agent = client(ApiKeyKind.AGENT)
    for address in addresses:
        answers = [one.get(address).status_code for one in (finance, own, other, agent)]
        assert answers == [200, 200, 404, 403], address
    said = finance.get(addresses[1]).json()["usage"]
    assert (said["booked"], said["recomputed"], said["agrees"], said["event_count"]) == (
        "40.000000000000", "40.000000000000", True, 1,
    )  # fmt: skip
    assert said["rated"][0]["rate"]["list_price"] == "1.250000000000"
    assert finance.get("/api/v1/explain/postings/99999").status_code == 404


def test_the_command_prints_the_chain_for_people_and_for_machines(story: Commit) -> None:
    line = InvoiceLine.objects.get(kind="late_usage")
    out = StringIO()
    call_command("explain", "invoice-line", str(line.pk), stdout=out)
    for words in ("invoice-line", "Late usage of Q1", "id late", "list price 1.25", "agrees: True"):
        assert words in out.getvalue()
    out = StringIO()
    call_command("explain", "invoice-line", str(line.pk), "--json", stdout=out)
    assert json.loads(out.getvalue())["usage"]["event_count"] == 1
    with pytest.raises(CommandError, match="no grant 99999"):
        call_command("explain", "grant", "99999")
