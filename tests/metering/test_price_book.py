"""Prices and meters into the book: what is refused, what is traced, what is imported."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from billing.domain.errors import Conflict, InvalidInput
from billing.models import AuditEvent
from billing.services import clock
from metering.models import Meter, Price
from metering.services import price_book
from metering.services.book_snapshot import read_price_book
from tests.metering.conftest import JAN, NOW, list_prices

pytestmark = pytest.mark.django_db


def add(**changes: Any) -> Price:
    asked: dict[str, Any] = {
        "model": "m", "mode": "serverless", "meter": "output_tokens", "price": Decimal(1),
        "effective_at": JAN, "actor_name": "ada", "now": NOW, **changes,
    }  # fmt: skip
    return price_book.add_price(**asked)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"effective_at": JAN + timedelta(minutes=30)}, "not_a_whole_hour"),
        ({"effective_at": datetime(2026, 1, 1)}, "not_a_whole_hour"),  # noqa: DTZ001
        ({"price": Decimal("0.0000000000001")}, "too_many_decimals"),
        ({"price": Decimal(-1)}, "invalid_price"),
        ({"price": Decimal("NaN")}, "invalid_price"),
        ({"price": Decimal("Infinity")}, "invalid_price"),
        ({"price": Decimal("1e18")}, "invalid_price"),
        ({"mode": "fast"}, "unknown_mode"),
        ({"meter": "songs"}, "unknown_meter"),
        ({"model": ""}, "invalid_model"),
        ({"model": "m" * 201}, "invalid_model"),
        ({"model": "\0"}, "invalid_model"),
        ({"model": "two\nlines"}, "invalid_model"),
        ({"model": "del\x7f"}, "invalid_model"),
    ],
)
def test_a_price_that_cannot_be_is_refused(change: dict[str, Any], code: str) -> None:
    list_prices()
    with pytest.raises(InvalidInput) as refused:
        add(**change)
    assert refused.value.code == code
    assert not Price.objects.filter(created_by="ada").exists()
    assert not AuditEvent.objects.exists()


def test_every_change_is_traced_and_makes_a_new_book() -> None:
    list_prices()
    versions = [read_price_book().version]
    add()
    versions.append(read_price_book().version)
    add(price=Decimal(2))
    versions.append(read_price_book().version)
    assert add(price=Decimal(2)).price == 2
    assert versions == sorted(set(versions))
    assert read_price_book().version == versions[-1]
    details = [event.details for event in AuditEvent.objects.order_by("id")]
    assert [(one["price"], one["replaces"]) for one in details] == [
        ("1.000000000000", None), ("2.000000000000", "1.000000000000"),
    ]  # fmt: skip


def test_a_meter_is_defined_once() -> None:
    list_prices()
    price_book.add_meter(key="songs", unit="song", actor_name="ada", now=NOW)
    assert read_price_book().book.units["songs"] == 1
    with pytest.raises(Conflict):
        price_book.add_meter(key="songs", unit="tune", actor_name="ada", now=NOW)
    for key, unit in (("Songs", "s"), ("", "s"), ("a b", "s"), ("s" * 65, "s"), ("s", "")):
        with pytest.raises(InvalidInput):
            price_book.add_meter(key=key, unit=unit, actor_name="ada", now=NOW)
    assert Meter.objects.filter(unit__in=["song", "tune", "s", ""]).count() == 1


@pytest.fixture
def clock_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("import_prices", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.usefixtures("clock_stands")
def test_published_prices_are_imported_exactly_and_once() -> None:
    list_prices()
    assert " models written" in run("--provider", "together")
    model = "meta-llama/Llama-3.3-70B-Instruct-Turbo"
    found = {
        price.meter_id: (price.price, price.effective_at)
        for price in Price.objects.filter(model=model)
    }
    assert found == {
        "input_tokens": (Decimal("0.88"), JAN), "output_tokens": (Decimal("0.88"), JAN),
    }  # fmt: skip
    count = Price.objects.count()
    assert count > 150
    assert run("--provider", "together").startswith("0 prices")
    assert Price.objects.count() == count


@pytest.mark.usefixtures("clock_stands")
def test_a_published_price_that_has_changed_counts_from_the_next_hour() -> None:
    list_prices()
    model = "meta-llama/Llama-3.3-70B-Instruct-Turbo"
    add(model=model, price=Decimal("0.5"))
    run("--provider", "together", "--models", model)
    dated = Price.objects.filter(model=model, meter_id="output_tokens").order_by("effective_at")
    assert [(one.price, one.effective_at) for one in dated] == [
        (Decimal("0.5"), JAN), (Decimal("0.88"), NOW),
    ]  # fmt: skip
    assert run("--provider", "together", "--models", model).startswith("0 prices")


@pytest.mark.usefixtures("clock_stands")
def test_what_the_book_cannot_express_is_named_and_left_out() -> None:
    list_prices()
    told = run("--provider", "novita", "--effective-at", "2025-01-01T00:00:00Z")
    assert "skipped minimax/minimax-m3: its price depends on the length of the input" in told
    assert not Price.objects.filter(model="minimax/minimax-m3").exists()
    dated = Price.objects.filter(model="meta-llama/llama-3.3-70b-instruct", meter_id="input_tokens")
    assert [one.effective_at for one in dated.order_by("effective_at")] == [
        datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 10, 18, tzinfo=UTC),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ("--provider", "nobody"),
        ("--provider", "together", "--models", "no-such-model"),
        ("--provider", "together", "--effective-at", "2026-01-01T00:30:00Z"),
        ("--provider", "together", "--effective-at", "2026-01-01"),
        ("--provider", "together", "--effective-at", "soon"),
    ],
)
@pytest.mark.usefixtures("clock_stands")
def test_a_wrong_import_changes_nothing(arguments: tuple[str, ...]) -> None:
    list_prices()
    before = Price.objects.count()
    with pytest.raises(CommandError):
        run(*arguments)
    assert Price.objects.count() == before
