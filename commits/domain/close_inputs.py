"""What the plan of a close depends on, and the digest that an approval names.

The inputs are spelled in one canonical way, so that equal inputs have equal digests, and are read
back exactly.
"""

import hashlib
import json
from dataclasses import dataclass, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import msgspec

from billing.domain.money import from_cents
from commits.domain.chain import QuarterInput


class BillKind(StrEnum):
    """The kinds of invoice lines that a close makes."""

    INSTALMENT = "instalment"
    OVERAGE = "overage"
    TRUE_UP = "true_up"
    LATE_USAGE = "late_usage"


@dataclass(frozen=True, slots=True, order=True)
class UsageGroup:
    """Rated usage at one rate: `quantity` units at `rate` dollars each."""

    model: str
    mode: str
    meter: str
    rate: Decimal
    quantity: int

    @property
    def amount(self) -> Decimal:
        """Exact dollars."""
        return self.rate * self.quantity


@dataclass(frozen=True, slots=True)
class EarlierQuarter:
    """What invoices know of an earlier quarter of the chain.

    `closed_overage` is its exact overage at its own close, of which `overage_billed_cents` have
    been billed. What the chain has added since is late; `late_billed_cents` are the cents billed
    as late usage that occurred in this quarter, and `late_groups` its usage that arrived since
    the last close.
    """

    position: int
    closed_overage: Decimal
    given_back: Decimal
    overage_billed_cents: int
    late_billed_cents: int
    late_groups: tuple[UsageGroup, ...] = ()

    @property
    def carried(self) -> Decimal:
        """Exact overage of its own close that was not billed: rounding, or under the minimum."""
        return self.closed_overage - from_cents(self.overage_billed_cents)


@dataclass(frozen=True, slots=True)
class GrantToInvoice:
    """Money that customers may draw on but that no invoice has billed yet. Whole cents."""

    kind: BillKind
    position: int
    ref: str
    cents: int


@dataclass(frozen=True, slots=True)
class CloseInputs:
    """Everything that the plan of the last quarter in `quarters` depends on.

    `quarters` are those of the chain up to and including the closing one, which is marked closed.
    `to_invoice` are grants of quarters up to the next one's instalment. `continues` is False where
    no quarter can follow, None where the plan decides (a tail goes on while money rolls out).
    """

    quarters: tuple[QuarterInput, ...]
    groups: tuple[UsageGroup, ...]
    earlier: tuple[EarlierQuarter, ...]
    to_invoice: tuple[GrantToInvoice, ...]
    minimum_cents: int
    continues: bool | None


def digest(inputs: CloseInputs) -> str:
    """SHA-256 of the inputs in one canonical spelling: equal inputs, equal digests."""
    return digest_of(canonical(inputs))


def digest_of(spelled: str) -> str:
    """The digest of inputs that `canonical` has spelled."""
    return hashlib.sha256(spelled.encode()).hexdigest()


def canonical(inputs: CloseInputs) -> str:
    """The inputs as JSON: sorted keys, decimals without trailing zeros, instants in ISO 8601."""
    return json.dumps(inputs, sort_keys=True, separators=(",", ":"), default=_spell)


def inputs_from_json(stored: str) -> CloseInputs:
    """The inputs that `canonical` spelled: the way back, exact."""
    return msgspec.json.decode(stored, type=CloseInputs)


def _spell(value: object) -> str | dict[str, object]:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f") if value else "0"
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value):
        # Not asdict(): it copies every value, and took most of the time of a plan.
        return {field: getattr(value, field) for field in value.__dataclass_fields__}
    raise TypeError(f"{type(value)} has no canonical spelling")
