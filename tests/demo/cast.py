"""Who plays in the demo: four customers with their contracts, the models, the modes, the calendar.

The amounts are chosen so that the replayed trace (scaled, see traffic.py) makes a story of them;
no result stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

SIGNING = datetime(2025, 12, 15, 9, tzinfo=UTC)  # what the sandbox clock shows at first
STARTS_ON = date(2026, 1, 1)
TERM_QUARTERS = 4
# The first instants of the quarters that the trace is spread over, and the end of the last.
BOUNDARIES = tuple(datetime(2026, month, 1, tzinfo=UTC) for month in (1, 4, 7, 10))
GRACE_HOURS = 72
PROVIDER = "together"


@dataclass(frozen=True, slots=True)
class Contract:
    """A customer and its commit: dollars a quarter, discount, and the limit up to which a close
    passes without a human."""

    key: str
    name: str
    character: str
    timezone: str
    instalment: str
    discount: str
    max_overage: str


ACME = Contract("acme", "Acme", "steady", "UTC", "22000.00", "0.20", "2500.00")
BOLT = Contract("bolt", "Bolt", "spiky, with overage", "UTC", "12000.00", "0.20", "2500.00")
CINDER = Contract("cinder", "Cinder", "idle", "UTC", "3000.00", "0.10", "2500.00")
# Its quarters begin at half past six in the evening, UTC.
DUNE = Contract("dune", "Dune", "growing", "Asia/Kolkata", "9000.00", "0.20", "2500.00")
CAST = (ACME, BOLT, CINDER, DUNE)

TRUE_UP_CUSTOMER = DUNE
TRUE_UP_AMOUNT = "4000.00"
TRUE_UP_QUARTER = 2

# (name in the price book, share of the requests)
MODELS = (
    ("meta-llama/Llama-3.3-70B-Instruct-Turbo", 0.40),
    ("deepseek-ai/DeepSeek-V4-Pro-0813", 0.20),
    ("meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo", 0.20),
    ("openai/gpt-oss-120b", 0.20),
)
MODES = (("serverless", 0.70), ("batch", 0.20), ("dedicated_serverless", 0.10))
PROJECTS = (("chat", 0.6), ("search", 0.3), ("evals", 0.1))


def email(contract: Contract) -> str:
    """Where the invoices go. The domain is reserved: nothing is ever sent there."""
    return f"billing@{contract.key}.example"
