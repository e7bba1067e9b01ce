"""The cast for the faces, made through the services: half a year of four customers' contracts.

Acme is steady and in its second quarter, Bolt went over and waits for a human, Cinder never uses
anything, and Dune must see nothing of the others. It is 2026-05-20.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User

from billing.models import Customer, CustomerLogin
from billing.services import api_keys, clock
from commits.models import Commit, TrueUp
from commits.services import closes, daily, true_ups
from commits.services.true_ups import TrueUpRequest
from metering.domain.meters import BUILT_IN_METERS
from metering.models import Meter
from metering.services import price_book
from tests.commits.world import at, make_customer, send, signed

PASSWORD = "correct-horse-battery"
NOW = at("2026-05-20T09:30")
PROJECTS = ("search", "assistant")
LISTED = [
    ("llama-3.3-70b", "serverless", "input_tokens", "0.88"),
    ("llama-3.3-70b", "serverless", "cached_input_tokens", "0.44"),
    ("llama-3.3-70b", "serverless", "output_tokens", "0.88"),
    ("deepseek-v3.1", "serverless", "input_tokens", "0.60"),
    ("deepseek-v3.1", "serverless", "output_tokens", "1.70"),
    ("h100-sxm", "dedicated", "gpu_seconds", "2.99"),
]


@dataclass(frozen=True)
class Cast:
    """Who is there and what they have signed."""

    acme: Customer
    bolt: Customer
    dune: Customer
    acme_commit: Commit
    bolt_commit: Commit
    dune_commit: Commit
    true_up: TrueUp


def build() -> Cast:
    """The whole cast, at 2026-05-20."""
    clock.set_sandbox_clock(to=at("2025-12-01"), real_now=datetime.now(UTC))
    _list_prices()
    acme, bolt = make_customer("acme"), make_customer("bolt")
    cinder, dune = make_customer("cinder"), make_customer("dune")
    acme_commit = signed(acme, auto_approve_max_overage=Decimal(5000))
    bolt_commit = signed(bolt, instalments=("6000",) * 4, auto_approve_max_overage=None)
    signed(cinder, instalments=("1000",) * 2)
    dune_commit = signed(dune, instalments=("4000",) * 4, starts_on=date(2026, 2, 1))
    _use_daily(acme, date(2026, 1, 1), date(2026, 4, 1), 210)
    _use_daily(bolt, date(2026, 1, 1), date(2026, 4, 1), 68)
    _use_daily(dune, date(2026, 2, 1), date(2026, 5, 1), 20)
    closes.run_closes(as_of=at("2026-04-04"), now=at("2026-04-04"))
    _use_daily(acme, date(2026, 4, 1), date(2026, 5, 20), 460)
    _use_daily(bolt, date(2026, 4, 1), date(2026, 5, 20), 190)
    _use_unpriced(acme)
    daily.draw_down(now=NOW)
    clock.set_sandbox_clock(to=NOW, real_now=datetime.now(UTC))
    asked = true_ups.request_true_up(
        commit_id=bolt_commit.pk,
        request=TrueUpRequest(amount=Decimal(3000), discount=Decimal("0.25")),
        actor="customer:bolt:bolt-user",
        now=NOW,
    )
    _people(acme, bolt, dune)
    return Cast(acme, bolt, dune, acme_commit, bolt_commit, dune_commit, asked)


def _list_prices() -> None:
    for spec in BUILT_IN_METERS:
        # The migration made them, and a test before may have emptied the tables.
        Meter.objects.get_or_create(
            key=spec.key, defaults={"unit": spec.unit, "units_per_price": spec.units_per_price}
        )
    for model, mode, meter, price in LISTED:
        price_book.add_price(
            model=model,
            mode=mode,
            meter=meter,
            price=Decimal(price),
            effective_at=at("2025-01-01"),
            actor_name="ada",
            now=at("2025-12-01"),
        )


def _use_daily(customer: Customer, start: date, end: date, dollars: int) -> None:
    """About `dollars` a day at 20 % off, rising and falling with the week."""
    events = []
    day = start
    while day < end:
        scale = dollars * (100 + 9 * (day.toordinal() % 7) - 45 * (day.weekday() > 4))
        noon = datetime(day.year, day.month, day.day, 12, 0, tzinfo=UTC)
        events += [
            usage_event(customer, f"llama-{day}", noon, "llama-3.3-70b", {
                "input_tokens": scale * 7_000 + 137, "cached_input_tokens": scale * 2_000,
                "output_tokens": scale * 1_300,
            }),
            usage_event(customer, f"deepseek-{day}", noon, "deepseek-v3.1", {
                "input_tokens": scale * 2_500, "output_tokens": scale * 900 + 11,
            }),
            _gpu_event(customer, f"gpu-{day}", noon, scale * 4),
        ]  # fmt: skip
        day += timedelta(days=1)
    for first in range(0, len(events), 90):
        batch = events[first : first + 90]
        latest = datetime.fromisoformat(batch[-1]["time"])
        send(batch, now=latest + timedelta(hours=1))


def usage_event(
    customer: Customer, name: str, when: datetime, model: str, tokens: dict[str, int]
) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": name, "source": "gateway", "subject": customer.key,
        "time": when.isoformat(), "type": "inference.tokens",
        "data": {
            "model": model, "mode": "serverless", "project": PROJECTS[model < "h"], **tokens,
        },
    }  # fmt: skip


def _gpu_event(customer: Customer, name: str, when: datetime, seconds: int) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": name, "source": "fleet", "subject": customer.key,
        "time": when.isoformat(), "type": "inference.gpu",
        "data": {"sku": "h100-sxm", "mode": "dedicated", "gpu_seconds": seconds,
                 "busy_gpu_seconds": seconds // 2, "endpoint": "ep-1"},
    }  # fmt: skip


def _use_unpriced(customer: Customer) -> None:
    when = at("2026-05-19T10:00")
    send([usage_event(customer, "new-1", when, "mystery-1", {"input_tokens": 12_000})], now=when)


def _people(acme: Customer, bolt: Customer, dune: Customer) -> None:
    for name in ("ada", "ben"):
        controller = api_keys.ensure_controller(name=name)
        controller.set_password(PASSWORD)
        controller.save()
    User.objects.create_user("vera", password=PASSWORD, is_staff=True)
    User.objects.create_superuser("root", password=PASSWORD)
    for customer in (acme, bolt, dune):
        user = User.objects.create_user(f"{customer.key}-user", password=PASSWORD)
        CustomerLogin.objects.create(user=user, customer=customer)
    User.objects.create_user("stray", password=PASSWORD)
