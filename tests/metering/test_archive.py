"""Archived events are still themselves: unique, worth what they were worth, and to be voided."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from pyarrow import parquet

from billing.domain.errors import Conflict, InvalidInput
from billing.models import Customer
from metering.models import UnratedUsage, UsageArchive, UsageEvent
from metering.services import archive_files, archiving
from metering.services.event_listing import Place, live_event_ids, raw_events
from metering.services.proof import rederive_rollups
from metering.services.recount import NOTHING, Cutoff, UsageScope, recount
from tests.metering.conftest import FEB, JAN, MAR, NOW, list_prices, make_customer, open_terms
from tests.metering.sending import codes, event, send, tokens, void
from tests.metering.test_ingest_once import used

pytestmark = pytest.mark.django_db(transaction=True)
LATER = datetime(2026, 6, 1, tzinfo=UTC)
USAGE = {
    "model": "flux", "mode": "serverless", "quantities": {"images": 4}, "endpoint": "e",
    "region": "r", "project": "p", "async": True,
}  # fmt: skip
GPU = {"sku": "h100", "mode": "dedicated", "gpu_seconds": 3600, "busy_gpu_seconds": 600}
RECEIVED = 10  # in February


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[Customer]:
    """Ten events received in February: a void among them, one that waits for a price, one of two
    other customers each; and two that came later, one of them timed in February."""
    list_prices()
    customer = make_customer("acme")
    open_terms(customer, discount="0")
    make_customer("aaa")
    make_customer("zzz")
    send(
        *(tokens(f"e{number}") for number in range(4)), event("u", "usage", USAGE),
        event("g", "gpu", GPU), tokens("e0", subject="aaa"), tokens("e0", subject="zzz"),
    )  # fmt: skip
    send({**void("v", "e3"), "data": {"source": "gateway/1", "id": "e3", "reason": "twice"}},
         tokens("w", model="unheard-of"))  # fmt: skip
    send(tokens("march", time="2026-03-02T00:00:00Z"), tokens("late"), now=LATER)
    yield customer


def archive(directory: Path) -> UsageArchive:
    made = archiving.archive_month(month=FEB, directory=directory, now=LATER)
    assert made is not None
    return made


def chunks() -> list[Any]:
    """Every chunk, as it is."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(chunk) FROM metering_usagechunk AS chunk ORDER BY id")
        return [row for (row,) in cursor.fetchall()]


def guards() -> list[str]:
    """The triggers, constraints and indexes of February's partition."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT tgname::text FROM pg_trigger
               WHERE tgrelid = 'metering_usagechunk_2026_02'::regclass
               UNION ALL SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint
               WHERE conrelid = 'metering_usagechunk_2026_02'::regclass
               UNION ALL SELECT indexdef FROM pg_indexes
               WHERE tablename = 'metering_usagechunk_2026_02' ORDER BY 1"""
        )
        return [name for (name,) in cursor.fetchall()]


def test_the_file_holds_what_the_month_lets_go(acme: Customer, tmp_path: Path) -> None:
    before = {(one.chunk_id, one.place): one for one in UsageEvent.objects.all()}
    guarded = guards()
    made = archive(tmp_path)
    rows = parquet.read_table(tmp_path / made.file).to_pylist()
    assert made.row_count == len(rows) == RECEIVED
    for row in rows:
        was = before[row["chunk_id"], row["place"]]
        for name in (
            "customer_id", "seq", "source", "event_id", "model", "mode", "project", "occurred_at",
            "received_at", "kind", "output_tokens", "gpu_seconds", "busy_gpu_seconds",
        ):  # fmt: skip
            assert row[name] == getattr(was, name), name
    assert {row["customer"] for row in rows} == {"acme", "aaa", "zzz"}
    assert int(made.sums["output_tokens"]) == 7_000_000
    assert (made.starts_at, made.ends_at) == (FEB, MAR)
    kept = UsageEvent.objects.filter(source=f"archive/{made.pk}")
    assert kept.count() == RECEIVED
    assert not kept.filter(extra__has_key="reason") and not kept.filter(extra__has_key="endpoint")
    rest = UsageEvent.objects.exclude(source=f"archive/{made.pk}")
    assert sorted(rest.values_list("event_id", flat=True)) == ["late", "march"]
    assert guards() == guarded
    assert archiving.archive_problems(directory=tmp_path) == []
    assert not list(tmp_path.glob(".*"))
    assert rederive_rollups() == []


def test_a_replay_is_a_duplicate_and_other_content_a_conflict(
    acme: Customer, tmp_path: Path
) -> None:
    archive(tmp_path)
    again = send(*(tokens(f"e{number}") for number in range(4)), event("u", "usage", USAGE))
    assert (again.accepted, again.duplicates, again.refused) == (0, 5, [])
    other = send(tokens("e0", output=1), event("u", "usage", {**USAGE, "region": "s"}), tokens("n"))
    assert (other.accepted, codes(other)) == (1, [(0, "conflict"), (1, "conflict")])
    assert rederive_rollups() == []


def test_an_archived_event_is_voided_like_any_other(acme: Customer, tmp_path: Path) -> None:
    archive(tmp_path)
    spent = used(acme)
    result = send(
        void("v2", "u"), void("v3", "e0"), void("v4", "e3"), void("v5", "never"), now=LATER
    )
    assert result.accepted == 2
    assert codes(result) == [(2, "conflict"), (3, "not_found")]
    assert used(acme) == spent - Decimal("0.16") - 2
    assert rederive_rollups() == []


def test_what_it_came_to_is_counted_again_without_the_file(acme: Customer, tmp_path: Path) -> None:
    period = acme.usage_periods.get()
    through = Cutoff(UsageEvent.objects.filter(customer=acme).count(), LATER)
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
    assert len(listed) == RECEIVED
    assert all(one.id for one in listed)
    assert [one.said["target"]["id"] for one in listed if one.kind == 4] == ["e3"]
    assert {one.voided_by_id for one in listed} == {None, "v"}
    assert rederive_rollups() == []


def test_what_waits_for_a_price_keeps_its_name(acme: Customer, tmp_path: Path) -> None:
    archive(tmp_path)
    waits = UnratedUsage.objects.get(customer=acme)
    assert (waits.source, waits.event_name) == ("gateway/1", "w")


def test_names_that_lie_in_an_archive_are_not_replaced(acme: Customer, tmp_path: Path) -> None:
    def live(start: datetime, end: datetime) -> list[str]:
        return sorted(
            live_event_ids(customer_id=acme.pk, source="gateway/1", starts_at=start, ends_at=end)
        )

    assert live(FEB, MAR) == ["e0", "e1", "e2", "g", "late", "u", "w"]
    made = archive(tmp_path)
    with pytest.raises(Conflict, match=made.file):
        live(FEB, MAR)
    assert live(MAR, LATER) == ["march"]


def test_a_month_is_archived_once(acme: Customer, tmp_path: Path) -> None:
    archive(tmp_path)
    before = chunks()
    assert archiving.archive_month(month=FEB, directory=tmp_path, now=LATER) is None
    assert archiving.archive_month(month=JAN, directory=tmp_path, now=LATER) is None
    assert len(list(tmp_path.iterdir())) == 1
    assert chunks() == before


def test_a_month_is_restored_as_it_was(
    acme: Customer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_files, "ROWS_AT_ONCE", 3)  # cuts chunks
    monkeypatch.setattr(archiving, "CHUNKS_AT_ONCE", 1)
    before, guarded = chunks(), guards()
    made = archive(tmp_path)
    assert chunks() != before
    call_command("archive_usage", restore="2026-02", to=str(tmp_path))
    assert chunks() == before
    assert guards() == guarded
    made.refresh_from_db()
    assert made.restored_at is not None
    assert rederive_rollups() == []
    with pytest.raises(CommandError, match="not archived"):
        call_command("archive_usage", restore="2026-02", to=str(tmp_path))
    again = archive(tmp_path)
    assert (again.sums, again.row_count) == (made.sums, made.row_count)
    assert rederive_rollups() == []


def test_nothing_is_restored_from_a_file_that_was_changed(acme: Customer, tmp_path: Path) -> None:
    made = archive(tmp_path)
    before = chunks()
    path = tmp_path / made.file
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CommandError, match="has been changed"):
        call_command("archive_usage", restore="2026-02", to=str(tmp_path))
    assert chunks() == before
    made.refresh_from_db()
    assert made.restored_at is None


def test_what_breaks_leaves_the_events_as_they_were(
    acme: Customer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = chunks()

    def full(path: Path) -> None:
        raise OSError("no space left on device")

    for name in ("sync", "counted"):
        with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
            patch.setattr(archive_files, name, full)
            archive(tmp_path)
        assert not UsageArchive.objects.exists()
        assert chunks() == before
    archive(tmp_path)


def test_a_month_that_is_young_or_none_is_refused(acme: Customer, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        archiving.archive_month(
            month=FEB, directory=tmp_path, now=datetime(2026, 3, 20, tzinfo=UTC)
        )
    with pytest.raises(InvalidInput):
        archiving.archive_month(month=NOW, directory=tmp_path, now=LATER)
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
        "UPDATE metering_usagechunk SET output_tokens = input_tokens",
        "UPDATE metering_usagechunk_2026_02 SET origin_sources = origin_models",
        "DELETE FROM metering_usagechunk WHERE event_ids IS NULL",
        "TRUNCATE metering_usagechunk_2026_02",
        "UPDATE metering_usagearchive SET row_count = 1",
        "UPDATE metering_usagearchive SET row_count = 1, restored_at = now()",
        "DELETE FROM metering_usagearchive",
    ],
)
def test_nothing_else_of_an_event_may_change(
    acme: Customer, tmp_path: Path, statement: str
) -> None:
    archive(tmp_path)
    before = chunks()
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert chunks() == before
    assert rederive_rollups() == []
