"""The real service for a run of faults: its books opened, and in the end held against the truth."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.demo.client import ApiClient
from tests.demo.service import Service, ServiceFailed, last_line
from tests.faults import load

SIGNING, NOW = "2025-12-15T09:00:00Z", "2026-02-03T00:00:00Z"
DISCOUNT = Decimal("0.20")
PRICES = {  # Dollars per million tokens.
    "input_tokens": Decimal("0.88"), "cached_input_tokens": Decimal("0.22"),
    "output_tokens": Decimal("3.50"),
}  # fmt: skip
MILLION = 10**6


@dataclass
class Ledger:
    """A running service with three customers under contract, and the keys to it."""

    service: Service
    ada: ApiClient
    agent_key: str

    @classmethod
    def opened(cls, service: Service) -> Ledger:
        """Prices, customers and commits, signed in December; then February comes."""
        ada = ApiClient(service.url, _key(service, "--kind", "finance", "--user", "ada"))
        ada.post("/sandbox/clock", {"now": SIGNING})
        for meter, price in PRICES.items():
            ada.post("/prices", {
                "model": load.MODEL, "mode": load.MODE, "meter": meter, "price": str(price),
                "effective_at": "2025-01-01T00:00:00Z",
            })  # fmt: skip
        for key in load.CUSTOMERS:
            ada.post("/customers", {"key": key, "name": key.title(), "timezone": "UTC",
                                    "email": f"billing@{key}.example"})  # fmt: skip
            commit = ada.post("/commits", {
                "customer": key, "starts_on": "2026-01-01", "quarters": 4,
                "instalment": "30000.00", "discount": str(DISCOUNT),
                "auto_approve": {"max_overage": "1000000.00"},
            })  # fmt: skip
            ada.post(f"/commits/{commit['id']}/activate")
        ada.post("/sandbox/clock", {"now": NOW})
        return cls(service, ada, _key(service, "--kind", "agent"))

    def differences(self, numbers: Sequence[int]) -> list[str]:
        """How the ledger differs from what was handed to the agents; empty if in nothing."""
        found = [*self._money(numbers), *self._missing(numbers)]
        try:
            self.service.manage("check_ledger")
        except ServiceFailed as failure:
            found.append(str(failure)[-500:])
        return found

    def _money(self, numbers: Sequence[int]) -> Iterable[str]:
        """Each customer's tokens and dollars against sums made here."""
        for key, place in zip(load.CUSTOMERS, range(3), strict=True):
            mine = [load.tokens(one) for one in numbers if one % 3 == place]
            tokens = {
                "input_tokens": sum(whole - cached for whole, cached, _, _ in mine),
                "cached_input_tokens": sum(cached for _, cached, _, _ in mine),
                "output_tokens": sum(output for _, _, output, _ in mine),
            }
            rows = self.ada.get(f"/customers/{key}/usage?group_by=meter")["results"]
            shown = {row["meter"]: int(row["quantity"]) for row in rows if int(row["quantity"])}
            if shown != tokens:
                yield f"{key}: the service counts {shown}, not {tokens}"
            dollars = sum(
                (tokens[name] * price * (1 - DISCOUNT) / MILLION for name, price in PRICES.items()),
                Decimal(0),
            )
            amount = sum((Decimal(row["amount"]) for row in rows), Decimal(0))
            if amount != dollars:
                yield f"{key}: the service counts ${amount}, not ${dollars}"

    def _missing(self, numbers: Sequence[int]) -> Iterable[str]:
        """Every event, sent once more, straight: each must be known, with the same content."""
        api = ApiClient(self.service.url, self.agent_key)
        headers = {"Content-Type": "application/cloudevents-batch+json",
                   "Content-Encoding": "gzip"}  # fmt: skip
        for start in range(0, len(numbers), 2_000):
            events = [load.event(one) for one in numbers[start : start + 2_000]]
            body = gzip.compress(json.dumps(events).encode(), 1)
            told: dict[str, Any] = api.ask("POST", "/usage", body, headers)
            if told["duplicates"] != len(events):
                yield f"of {len(events)} events from {numbers[start]} on: {str(told)[:400]}"


def _key(service: Service, *arguments: str) -> str:
    return last_line(service.manage("create_api_key", *arguments))
