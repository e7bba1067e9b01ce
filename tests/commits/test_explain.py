"""Every usage posting is explained by its events: they make its dollars, and are named."""

from datetime import date
from decimal import Decimal

import pytest
from django.db import connection

from billing.domain.errors import NotFound
from billing.models import Customer, JournalEntry, Posting
from commits.domain.terms import CommitTerms
from commits.models import Commit, Quarter
from commits.services import books, closes, credits, daily, explain, signing
from commits.services.bookings import entry_key
from commits.services.chains import load_chains
from commits.services.explain import PostingExplanation, UsageExplanation
from commits.services.explained import explained_share
from commits.services.usage_entries import KeyParts, key_parts
from metering.services import price_book
from tests.commits.world import at, make_customer, send, signed, use, void

pytestmark = pytest.mark.django_db(transaction=True)


def usage_of(entry: JournalEntry) -> UsageExplanation:
    explained = explain.explain_posting(id=entry.postings.all()[0].pk)
    assert explained.usage is not None, entry.key
    return explained.usage


def entries() -> list[JournalEntry]:
    return list(JournalEntry.objects.filter(key__startswith="usage/").order_by("pk"))


def events(usage: UsageExplanation) -> list[tuple[str, int]]:
    return [(event.id, event.sign) for event in usage.recounted.events]


def test_an_entry_of_a_day_names_just_the_events_that_it_books(
    acme: Customer, commit: Commit
) -> None:
    use(acme, "100", "2026-01-10", now=at("2026-01-10"), event_id="a")
    use(acme, "7", "2026-01-11", now=at("2026-01-11"), event_id="other-day")
    daily.draw_down(now=at("2026-01-11"))
    use(acme, "50.25", "2026-01-10", now=at("2026-01-12"), event_id="b")
    daily.draw_down(now=at("2026-01-12"))
    first, other, second = (usage_of(entry) for entry in entries())
    assert (events(first), first.recomputed) == ([("a", 1)], Decimal(100))
    assert (events(other), other.recomputed) == ([("other-day", 1)], Decimal(7))
    assert (events(second), second.recomputed) == ([("b", 1)], Decimal("50.25"))
    assert [(one.booked, one.agrees) for one in (first, second)] == [
        (Decimal(100), True), (Decimal("50.25"), True),
    ]  # fmt: skip
    rate = first.recounted.groups[0].rate
    assert rate.listed is not None
    assert (rate.listed.price, rate.discount, rate.rate) == (
        Decimal("1.25"), Decimal("0.2"), Decimal(1),
    )  # fmt: skip


def test_a_void_takes_back_its_target_by_name(acme: Customer, commit: Commit) -> None:
    name = use(acme, "100", "2026-01-10", now=at("2026-01-11"))
    daily.draw_down(now=at("2026-01-11"))
    void(acme, name, now=at("2026-01-12"))
    daily.draw_down(now=at("2026-01-12"))
    came, went = (usage_of(entry) for entry in entries())
    assert (came.booked, came.agrees, went.booked, went.agrees) == (
        Decimal(100), True, Decimal(-100), True,
    )  # fmt: skip
    assert [(e.id, e.sign, e.voided_by) for e in went.recounted.events] == [
        (name, -1, f"void-{name}")
    ]
    assert explained_share().text == "1"


def test_usage_that_waited_for_a_price_is_explained_where_it_was_rated(
    acme: Customer, commit: Commit
) -> None:
    event = {
        "specversion": "1.0", "id": "waits", "source": "test", "subject": "acme",
        "time": "2026-01-10T00:00:00Z", "type": "inference.usage",
        "data": {"model": "new", "mode": "serverless", "quantities": {"dollars": 4}},
    }  # fmt: skip
    send([event], now=at("2026-01-10T01:00"))
    use(acme, "3", "2026-01-10", now=at("2026-01-10T02:00"), event_id="rated")
    daily.draw_down(now=at("2026-01-11"))
    price_book.add_price(
        model="new", mode="serverless", meter="dollars", price=Decimal(10),
        effective_at=at("2026-01-01"), actor_name="ada", now=at("2026-01-12"),
    )  # fmt: skip
    books.sync_books(origin_ids=[commit.pk], now=at("2026-01-13"))
    before, after = (usage_of(entry) for entry in entries())
    assert (events(before), before.agrees) == ([("rated", 1)], True)
    assert (events(after), after.booked, after.agrees) == ([("waits", 1)], Decimal(32), True)
    assert after.after.through_seq == after.through.through_seq
    assert explained_share().text == "1"


def test_events_of_a_frozen_quarter_lie_outside_the_evidence_and_are_found(acme: Customer) -> None:
    commit = signed(acme, auto_approve_max_overage=None)
    use(acme, "100", "2026-01-10", now=at("2026-01-11"), event_id="in-time")
    closes.run_closes(as_of=at("2026-04-04"), now=at("2026-04-04"))
    closes.approve_close(commit_id=commit.pk, index=1, actor="bob", now=at("2026-04-04T01:00"))
    use(acme, "5", "2026-01-10", now=at("2026-04-04T02:00"), event_id="frozen-out")
    use(acme, "9", "2026-04-03", now=at("2026-04-04T02:00"), event_id="next-quarter")
    daily.draw_down(now=at("2026-04-04T03:00"))
    closes.post_approved(origin_id=commit.pk, now=at("2026-04-04T04:00"))
    late = JournalEntry.objects.get(code="usage.late")
    assert late.evidence["after_seq"] == late.evidence["through_seq"] == 3
    usage = usage_of(late)
    assert (events(usage), usage.booked, usage.agrees) == ([("frozen-out", 1)], Decimal(5), True)
    assert (usage.after.through_seq, usage.through.through_seq) == (1, 3)
    assert explained_share().text == "1"


def test_late_usage_of_two_runs_is_told_apart(acme: Customer, commit: Commit) -> None:
    use(acme, "29000", "2026-02-10", now=at("2026-02-11"))
    closes.run_closes(as_of=at("2026-04-04"), now=at("2026-04-04"))
    for number, when in (("x", "2026-04-20"), ("y", "2026-04-21")):
        use(acme, "12", "2026-02-10", now=at(when), event_id=number)
        daily.draw_down(now=at(when))
    lates = [usage_of(entry) for entry in entries() if entry.code == "usage.late"]
    assert [(events(one), one.agrees) for one in lates] == [
        ([("x", 1)], True), ([("y", 1)], True),
    ]  # fmt: skip


def test_a_moved_dollar_is_not_explained(acme: Customer, commit: Commit) -> None:
    use(acme, "100", "2026-01-10", now=at("2026-01-11"))
    use(acme, "300", "2026-01-11", now=at("2026-01-12"))
    daily.draw_down(now=at("2026-01-12"))
    assert explained_share().text == "1"
    first = entries()[0]
    # Past the guards: the entry says another day, and nothing else is wrong in the books.
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            "UPDATE billing_journalentry SET usage_date = '2026-01-12' WHERE id = %s", [first.pk]
        )
        cursor.execute("SET session_replication_role = DEFAULT")
    share = explained_share()
    assert (share.booked, share.explained, share.text) == (Decimal(400), Decimal(300), "0.750000")
    assert len(share.problems) == 1
    assert not usage_of(JournalEntry.objects.get(pk=first.pk)).agrees


def test_money_that_covers_overage_has_no_events(acme: Customer, commit: Commit) -> None:
    use(acme, "30100", "2026-01-10", now=at("2026-01-11"))
    daily.draw_down(now=at("2026-01-11"))
    asked = credits.request_credit(
        commit_id=commit.pk,
        request=credits.CreditRequest(Decimal(60), "slow"), actor="ada", now=at("2026-01-12"),
    )  # fmt: skip
    credits.approve_credit(credit_id=asked.pk, actor="bob", now=at("2026-01-12"))
    cover = JournalEntry.objects.get(code="grant.covers_overage")
    explained = explain.explain_posting(id=cover.postings.all()[0].pk)
    assert (explained.usage, explained.why) == (
        None, "money that arrived covers overage that had accrued",
    )  # fmt: skip
    credit = JournalEntry.objects.get(code="credit.granted")
    granted = explain.explain_posting(id=credit.postings.all()[0].pk)
    assert granted.grant is not None
    assert explain.explain_grant(id=granted.grant).approved_by == "bob"
    assert explained_share().text == "1"


def test_entries_of_a_period_that_was_cut_are_explained(acme: Customer) -> None:
    terms = CommitTerms("acme", date(2026, 1, 1), None, (), Decimal(0))
    commit = signing.create_commit(terms=terms, actor="ada", now=at("2025-12-01"))
    signing.activate_commit(commit_id=commit.pk, actor="ada", now=at("2025-12-01"))
    use(acme, "10", "2026-01-10", now=at("2026-01-11"))
    daily.draw_down(now=at("2026-01-11"))
    signed(acme, starts_on=date(2026, 1, 10), now=at("2026-01-12"))
    chains = Commit.objects.values_list("pk", flat=True)
    books.sync_books(origin_ids=chains, now=at("2026-01-12"))
    share = explained_share()
    assert (share.text, share.problems) == ("1", ())
    assert share.booked == Decimal("12.5") * 2 + 10


def test_the_key_of_an_entry_is_read_as_it_is_written(acme: Customer, commit: Commit) -> None:
    state = load_chains(origin_ids=[commit.pk])[commit.pk]
    quarter = Quarter.objects.get(commit=commit, index=2)
    assert key_parts(entry_key(state, quarter, "late")) == KeyParts(commit.pk, "0", 2, "late")
    assert key_parts("credit/1") is None


def test_what_is_not_there_is_not_found(db: None) -> None:
    for wrong in (explain.explain_posting, explain.explain_invoice_line, explain.explain_grant):
        with pytest.raises(NotFound):
            wrong(id=1)


def test_each_usage_posting_of_a_busy_year_agrees(acme: Customer, commit: Commit) -> None:
    make_customer("bolt")
    use(acme, "41000.5", "2026-01-10", now=at("2026-01-11"))
    daily.draw_down(now=at("2026-01-11"))
    closes.run_closes(as_of=at("2026-04-04"), now=at("2026-04-04"))
    name = use(acme, "31000.000007", "2026-05-10", now=at("2026-05-11"))
    use(acme, "500", "2026-03-31T23:00", now=at("2026-05-12"))
    daily.draw_down(now=at("2026-05-12"))
    closes.run_closes(as_of=at("2026-07-04"), now=at("2026-07-04"))
    void(acme, name, now=at("2026-07-05"))
    daily.draw_down(now=at("2026-07-05"))
    found: list[PostingExplanation] = [
        explain.explain_posting(id=pk) for pk in Posting.objects.values_list("pk", flat=True)
    ]
    usages = [one.usage for one in found if one.usage is not None]
    assert len(usages) > 8
    assert all(usage.agrees for usage in usages)
    assert explained_share().text == "1"
