"""A database as a provider has it: many customers with a commit each, and a quarter full of events.

Customers, commits and their quarters are made in bulk, as signing leaves them; the events go in
through the ingest service, and the books follow through `draw_down`. Half of the commits end the
quarter with money left, half with overage.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

STARTS_ON = date(2026, 1, 1)
SIGNED_AT = datetime(2025, 12, 1, tzinfo=UTC)
USED_AT = datetime(2026, 3, 30, tzinfo=UTC)
CLOSES_AT = datetime(2026, 4, 5, tzinfo=UTC)
MODELS = ("llama-3.3-70b", "qwen3-235b", "deepseek-v3")
DAYS = 10
QUARTERS = 4
# A thousand events come to about 1,000 dollars: half of the instalments are below, half above.
INSTALMENTS = (Decimal("800.00"), Decimal("1250.00"))


def _slices(whole: Sequence[Any], size: int) -> list[Any]:
    return [whole[start : start + size] for start in range(0, len(whole), size)]


def make_customers(number: int) -> None:
    """Prices, and `number` customers `c0`, `c1` ... each with an active commit of four quarters."""
    from django.db import transaction

    from billing.models import Customer
    from metering.services import price_book

    for model in MODELS:
        for meter, price in (("input_tokens", "800"), ("output_tokens", "2400")):
            price_book.add_price(
                model=model,
                mode="serverless",
                meter=meter,
                price=Decimal(price),
                effective_at=datetime(2025, 1, 1, tzinfo=UTC),
                actor_name="bench",
                now=SIGNED_AT,
            )
    for names in _slices(range(number), 1000):
        customers = Customer.objects.bulk_create(
            Customer(
                key=f"c{name}",
                name=f"Customer {name}",
                email=f"c{name}@example.com",
                created_at=SIGNED_AT,
            )
            for name in names
        )
        with transaction.atomic():
            _sign(customers)


def _sign(customers: Sequence[Any]) -> None:
    from billing.models import Invoice, InvoiceLine, Occasion
    from commits.domain.chain import GrantKind
    from commits.domain.periods import period
    from commits.models import Commit, CommitState, Grant, Quarter
    from commits.services.signing import invoice_id
    from metering.models import RateCard, RateDiscount, UsagePeriod, UsageState

    UsageState.objects.bulk_create(UsageState(customer=customer) for customer in customers)
    cards = RateCard.objects.bulk_create(RateCard(customer=c) for c in customers)
    RateDiscount.objects.bulk_create(
        RateDiscount(card=card, discount=Decimal("0.2"), effective_at=SIGNED_AT) for card in cards
    )
    commits = []
    for place, (customer, card) in enumerate(zip(customers, cards, strict=True)):
        pk = uuid.uuid4()
        commits.append(
            Commit(
                id=pk,
                customer=customer,
                origin_id=pk,
                state=CommitState.ACTIVE,
                starts_on=STARTS_ON,
                quarter_count=QUARTERS,
                instalments=[INSTALMENTS[place % 2]] * QUARTERS,
                discount=Decimal("0.2"),
                auto_approve_max_overage=Decimal(1_000_000),
                rate_card=card,
                created_at=SIGNED_AT,
                created_by="bench",
                activated_at=SIGNED_AT,
                activated_by="bench",
            )
        )
    Commit.objects.bulk_create(commits)
    bounds = [period(STARTS_ON, "UTC", index, 3) for index in range(1, QUARTERS + 2)]
    periods = UsagePeriod.objects.bulk_create(
        UsagePeriod(customer_id=c.customer_id, rate_card=c.rate_card, starts_at=a, ends_at=b)
        for c in commits
        for a, b in bounds
    )
    quarters = Quarter.objects.bulk_create(
        Quarter(
            commit=commits[place // len(bounds)],
            origin=commits[place // len(bounds)],
            index=place % len(bounds) + 1,
            position=place % len(bounds) + 1,
            starts_at=used.starts_at,
            ends_at=used.ends_at,
            is_tail=place % len(bounds) == QUARTERS,
            usage_period=used,
        )
        for place, used in enumerate(periods)
    )
    bills = Invoice.objects.bulk_create(
        Invoice(
            id=invoice_id(c.pk, Occasion.ACTIVATION),
            customer_id=c.customer_id,
            commit_id=c.pk,
            occasion=Occasion.ACTIVATION,
            total_cents=int(c.instalments[0] * 100),
            created_at=SIGNED_AT,
        )
        for c in commits
    )
    InvoiceLine.objects.bulk_create(
        InvoiceLine(
            invoice=bill,
            position=1,
            kind="instalment",
            quarter_index=1,
            description="instalment",
            amount_cents=bill.total_cents,
            period_start=bounds[0][0],
            period_end=bounds[0][1],
            grant_ref="instalment:1",
        )
        for bill in bills
    )
    Grant.objects.bulk_create(
        Grant(
            quarter=quarter,
            ref=f"instalment:{quarter.position}",
            kind=GrantKind.INSTALMENT,
            amount=quarter.commit.instalments[0],
            created_at=SIGNED_AT,
            invoice=bills[place // len(bounds)] if quarter.position == 1 else None,
        )
        for place, quarter in enumerate(quarters)
        if not quarter.is_tail
    )


def events_of(customer: int, number: int) -> list[dict[str, Any]]:
    """`number` token events of one customer, on ten days of the quarter, three models."""
    begins = datetime(2026, 1, 5, tzinfo=UTC)
    step = timedelta(hours=2) / max(1, number // DAYS)
    return [
        {
            "specversion": "1.0",
            "id": f"{customer}/{event}",
            "source": "gateway/us-east-1",
            "subject": f"c{customer}",
            "time": begins + timedelta(days=8 * (event % DAYS)) + step * (event // DAYS),
            "type": "inference.tokens",
            "data": {
                "model": MODELS[event % 3],
                "mode": "serverless",
                "input_tokens": 1000 + event % 97,
                "cached_input_tokens": 300,
                "output_tokens": 200 + event % 13,
            },
        }
        for event in range(number)
    ]


def ingest_share(worker: int, workers: int, customers: int, events_each: int) -> int:
    """The events of every `workers`-th ten customers through the ingest service: how many."""
    from metering.services.ingest import ingest

    accepted = 0
    for ten in _slices(range(customers), 10)[worker::workers]:
        events = [event for customer in ten for event in events_of(customer, events_each)]
        body = msgspec.json.encode(events)
        accepted += ingest(body=body, content_type="application/json", now=USED_AT).accepted
    return accepted
