"""A small world for service tests on a real database: customers, prices, commits, usage.

Usage is a meter `dollars` whose list price makes one unit cost exactly a dollar (or a millionth)
at a discount of 20 %, so that a story can say what it spends.
"""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from django.db import transaction

from billing.models import Customer
from billing.services import customers, ledger
from commits.domain.policies import EndOfTerm, RolloverPolicy
from commits.domain.terms import CommitTerms
from commits.models import Commit
from commits.services import balances, signing
from metering.models import Meter, Price
from metering.services import ingest
from metering.services.book_snapshot import count_up_version, lock_price_book

_numbers = count(1)


def at(text: str) -> datetime:
    """An instant in UTC from `2026-01-01` or `2026-01-01T10:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def dollar_prices(now: datetime = datetime(2025, 1, 1, tzinfo=UTC)) -> None:
    """Meters `dollars` and `micros`: at 20 % off one unit costs $1, or $0.000001."""
    with transaction.atomic():
        lock_price_book()
        for key, price in (("dollars", "1.25"), ("micros", "0.00000125")):
            Meter.objects.create(key=key, unit=key, units_per_price=1)
            Price.objects.create(
                model="any",
                mode="serverless",
                meter_id=key,
                price=Decimal(price),
                effective_at=datetime(2020, 1, 1, tzinfo=UTC),
                created_at=now,
                created_by="test",
            )
        count_up_version()


def make_customer(key: str = "acme", zone: str = "UTC") -> Customer:
    return customers.create_customer(
        key=key,
        name=key.title(),
        email=f"{key}@example.com",
        timezone=zone,
        actor_name="test",
        now=at("2025-06-01"),
    )


def signed(
    customer: Customer,
    *,
    starts_on: date = date(2026, 1, 1),
    instalments: tuple[str, ...] = ("30000",) * 4,
    now: datetime | None = None,
    **terms: Any,
) -> Commit:
    """An active commit at 20 % off whose closes need no human; uncommitted without instalments."""
    terms.setdefault("discount", Decimal("0.20"))
    terms.setdefault("auto_approve_max_overage", Decimal("1000000"))
    terms.setdefault("rollover", RolloverPolicy())
    terms.setdefault("end_of_term", EndOfTerm.TAIL)
    commit = signing.create_commit(
        terms=CommitTerms(
            customer_key=customer.key,
            starts_on=starts_on,
            quarters=len(instalments) or None,
            instalments=tuple(Decimal(amount) for amount in instalments),
            timezone=customer.timezone,
            **terms,
        ),
        actor="ada",
        now=now or at("2025-12-01"),
    )
    return signing.activate_commit(commit_id=commit.pk, actor="ada", now=now or at("2025-12-01"))


def use(
    customer: Customer,
    dollars: str,
    when: str,
    *,
    now: datetime,
    event_id: str | None = None,
    model: str = "any",
) -> str:
    """One event of usage worth `dollars` (to six decimals) at an instant. Returns its id."""
    name = event_id or f"e{next(_numbers)}"
    whole, _, rest = dollars.partition(".")
    quantities = {"dollars": int(whole)}
    if rest:
        quantities["micros"] = int(rest.ljust(6, "0"))
    event = {
        "specversion": "1.0",
        "id": name,
        "source": "test",
        "subject": customer.key,
        "time": at(when).isoformat(),
        "type": "inference.usage",
        "data": {"model": model, "mode": "serverless", "quantities": quantities},
    }
    send([event], now=now)
    return name


def void(customer: Customer, target: str, *, now: datetime, source: str = "test") -> None:
    """Void one event."""
    send(
        [
            {
                "specversion": "1.0",
                "id": f"void-{target}",
                "source": "test",
                "subject": customer.key,
                "time": now.isoformat(),
                "type": "inference.void",
                "data": {"source": source, "id": target, "reason": "test"},
            }
        ],
        now=now,
    )


def send(events: list[dict[str, Any]], *, now: datetime) -> Any:
    """Ingest a batch; every event must be accepted."""
    result = ingest.ingest(
        body=json.dumps(events).encode(),
        content_type="application/json",
        now=now,
    )
    assert not result.refused, result
    return result


def figures(commit: Commit) -> list[tuple[str, ...]]:
    """granted, rolled in, used, overage, rolled out of every quarter, without trailing zeros."""

    def show(value: Decimal) -> str:
        return format(value.normalize(), "f") if value else "0"

    return [
        tuple(
            show(value)
            for value in (
                view.figures.granted,
                view.figures.rolled_in,
                view.figures.used,
                view.figures.overage,
                view.figures.rolled_out,
            )
        )
        for view in balances.read_quarters(commit=Commit.objects.get(pk=commit.pk))
    ]


def trial_balance(customer: Customer) -> dict[str, Decimal]:
    """Net balances by account, debit positive."""
    rows = ledger.trial_balance(as_of=None, customer_id=customer.pk)
    return {str(row.code): row.debit - row.credit for row in rows}
