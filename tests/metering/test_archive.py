"""Archived events are still themselves: unique, worth what they were worth, and to be voided."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from pyarrow import parquet

from billing.domain.errors import InvalidInput
from billing.models import Customer
from metering.models import UsageArchive, UsageEvent
from metering.services import archiving
from metering.services.event_listing import Place, raw_events
from metering.services.proof import rederive_rollups
from metering.services.recount import NOTHING, Cutoff, UsageScope, recount
from tests.metering.conftest import FEB, JAN, list_prices, make_customer, open_terms
from tests.metering.sending import codes, event, send, tokens, void
from tests.metering.test_ingest_once import used

pytestmark = pytest.mark.django_db(transaction=True)
LATER = datetime(2026, 6, 1, tzinfo=UTC)
USAGE = {
    "model": "flux", "mode": "serverless", "quantities": {"images": 4}, "endpoint": "e",
    "region": "r", "project": "p",
}  # fmt: skip


@pytest.fixture
def acme() -> Iterator[Customer]:
    """Ten events of February, one void among them, one that waits for a price; one of March."""
    list_prices()
    customer = make_customer("acme")
    open_terms(customer, discount="0")
    send(*(tokens(f"e{number}") for number in range(7)), event("u", "usage", USAGE))
    send(void("v", "e6"), tokens("w", model="unheard-of"))
    send(tokens("march", time="2026-03-02T00:00:00Z"), now=LATER)
    yield customer


def archive(directory: Path) -> UsageArchive:
    made = archiving.archive_month(month=FEB, directory=directory, now=LATER)
    assert made is not None
    return made


def test_the_file_holds_what_the_table_lets_go(acme: Customer, tmp_path: Path) -> None:
    before = {one.event_key: one for one in UsageEvent.objects.all()}
    made = archive(tmp_path)
    rows = parquet.read_table(tmp_path / made.file).to_pylist()
    assert made.row_count == len(rows) == 8
    for row in rows:
        [was] = [one for key, one in before.items() if str(key) == row["event_key"]]
        assert (row["source"], row["event_id"]) == (was.source, was.event_id)
        assert (row["customer"], row["project"]) == ("acme", was.project)
        assert (row["occurred_at"], row["received_at"]) == (was.occurred_at, was.received_at)
    assert int(made.sums["output_tokens"]) == 7_000_000
    kept = UsageEvent.objects.filter(event_id="")
    assert {one.source for one in kept} == {f"archive/{made.pk}"}
    assert kept.count() == 8
    assert sorted(UsageEvent.objects.exclude(event_id="").values_list("event_id", flat=True)) == [
        "march", "v", "w",
    ]  # fmt: skip
    assert archiving.archive_problems(directory=tmp_path) == []
    assert not list(tmp_path.glob(".*"))


def test_a_replay_is_a_duplicate_and_other_content_a_conflict(
    acme: Customer, tmp_path: Path
) -> None:
    archive(tmp_path)
    again = send(*(tokens(f"e{number}") for number in range(7)), event("u", "usage", USAGE))
    assert (again.accepted, again.duplicates, again.refused) == (0, 8, [])
    other = send(tokens("e0", output=1), event("u", "usage", {**USAGE, "region": "s"}), tokens("n"))
    assert (other.accepted, codes(other)) == (1, [(0, "conflict"), (1, "conflict")])
    assert rederive_rollups() == []


def test_an_archived_event_is_voided_like_any_other(acme: Customer, tmp_path: Path) -> None:
    archive(tmp_path)
    spent = used(acme)
    result = send(void("v2", "u"), void("v3", "e0"), void("v4", "e6"), void("v5", "never"))
    assert result.accepted == 2
    assert codes(result) == [(2, "conflict"), (3, "not_found")]
    assert used(acme) == spent - Decimal("0.16") - 2
    assert rederive_rollups() == []


def test_what_it_came_to_is_counted_again_without_the_file(acme: Customer, tmp_path: Path) -> None:
    period = acme.usage_periods.get()
    through = Cutoff(UsageEvent.objects.count(), LATER)
    scope = UsageScope(period.pk)
    before = recount(scope=scope, after=NOTHING, through=through)
    made = archive(tmp_path)
    (tmp_path / made.file).unlink()
    after = recount(scope=scope, after=NOTHING, through=through)
    assert (after.amount, after.groups) == (before.amount, before.groups)
    assert after.event_count == before.event_count
    named = {one.source for one in after.events}
    assert named == {"gateway/1", f"archive/{made.pk}"}
    assert all(one.id for one in after.events)
    listed = raw_events(customer_id=acme.pk, after=Place(JAN), end=LATER, limit=100, now=LATER)
    assert len(listed) == 11
    assert all(one.id for one in listed)
    assert rederive_rollups() == []


def test_late_events_of_the_month_make_a_further_file(acme: Customer, tmp_path: Path) -> None:
    first = archive(tmp_path)
    send(tokens("late"), now=LATER)
    second = archive(tmp_path)
    assert (first.row_count, second.row_count) == (8, 1)
    assert archiving.archive_month(month=FEB, directory=tmp_path, now=LATER) is None
    assert len(list(tmp_path.iterdir())) == 2


def test_what_breaks_leaves_the_table_as_it_was(
    acme: Customer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(archiving, "_sync", full)
    with pytest.raises(OSError, match="no space"):
        archive(tmp_path)
    assert not UsageArchive.objects.exists()
    assert not UsageEvent.objects.filter(event_id="").exists()


def test_a_month_that_is_young_or_none_is_refused(acme: Customer, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        archiving.archive_month(
            month=FEB, directory=tmp_path, now=datetime(2026, 3, 20, tzinfo=UTC)
        )
    with pytest.raises(CommandError):
        call_command("archive_usage", "2026-13", to=str(tmp_path))


def test_a_file_that_was_changed_or_lost_is_found(acme: Customer, tmp_path: Path) -> None:
    made = archive(tmp_path)
    path = tmp_path / made.file
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    [problem] = archiving.archive_problems(directory=tmp_path)
    assert "changed" in problem
    path.unlink()
    with pytest.raises(SystemExit):
        call_command("archive_usage", check=True, to=str(tmp_path))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE metering_usageevent SET source = 'archive/{0}', event_id = '', extra = NULL,"
        " output_tokens = 0",
        "UPDATE metering_usageevent SET source = 'archive/{0}', event_id = '', fingerprint = 0",
        "UPDATE metering_usageevent SET source = 'archive/{0}', event_id = '', extra = NULL"
        " WHERE event_id = 'march'",
        "UPDATE metering_usageevent SET source = 'archive/999999', event_id = '', extra = NULL"
        " WHERE event_id = 'late'",
        "UPDATE metering_usageevent SET source = 'x', event_id = 'y' WHERE event_id = ''",
        "DELETE FROM metering_usageevent WHERE event_id = ''",
        "UPDATE metering_usagearchive SET row_count = 1",
        "DELETE FROM metering_usagearchive",
    ],
)
def test_nothing_else_of_an_event_may_change(
    acme: Customer, tmp_path: Path, statement: str
) -> None:
    made = archive(tmp_path)
    send(tokens("late"), now=LATER)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(made.pk))
    assert rederive_rollups() == []
