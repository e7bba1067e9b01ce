"""What the plan of a close depends on, and the digest that an approval names.

The inputs are spelled in one canonical way, so that equal inputs have equal digests, and are read
back exactly.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _text

import msgspec

from billing.domain.money import from_cents
from commits.domain.chain import Grant, QuarterInput, UsageSlice
from commits.domain.policies import RolloverPolicy


class BillKind(StrEnum):
    """The kinds of invoice lines that a close makes."""

    INSTALMENT = "instalment"
    OVERAGE = "overage"
    TRUE_UP = "true_up"
    LATE_USAGE = "late_usage"


class UsageGroup(msgspec.Struct, frozen=True, order=True):
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


class EarlierQuarter(msgspec.Struct, frozen=True):
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


class GrantToInvoice(msgspec.Struct, frozen=True):
    """Money that customers may draw on but that no invoice has billed yet. Whole cents."""

    kind: BillKind
    position: int
    ref: str
    cents: int


class CloseInputs(msgspec.Struct, frozen=True):
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
    """The inputs as JSON: sorted keys, decimals without trailing zeros, instants in ISO 8601.

    Spelled by hand: a general encoder, asked about every decimal, took longer than the plan.
    """
    return (
        f'{{"continues":{_SAID[inputs.continues]}'
        f',"earlier":{_all(map(_earlier, inputs.earlier))}'
        f',"groups":{_all(map(_group, inputs.groups))}'
        f',"minimum_cents":{inputs.minimum_cents}'
        f',"quarters":{_all(map(_quarter, inputs.quarters))}'
        f',"to_invoice":{_all(map(_to_invoice, inputs.to_invoice))}}}'
    )


def inputs_from_json(stored: str) -> CloseInputs:
    """The inputs that `canonical` spelled: the way back, exact."""
    return msgspec.json.decode(stored, type=CloseInputs)


_SAID = {None: "null", True: "true", False: "false"}


def _all(spelled: Iterable[str]) -> str:
    return f"[{','.join(spelled)}]"


# Rates and zeros come again and again. Equal decimals are spelled alike.
@lru_cache(maxsize=10_000)
def _decimal(value: Decimal) -> str:
    return f'"{value.normalize():f}"' if value else '"0"'


def _or_null(value: object) -> object:
    return "null" if value is None else value


def _instant(value: datetime | None) -> str:
    return "null" if value is None else f'"{value.isoformat()}"'


def _group(group: UsageGroup) -> str:
    return (
        f'{{"meter":{_text(group.meter)},"mode":{_text(group.mode)},"model":{_text(group.model)}'
        f',"quantity":{group.quantity},"rate":{_decimal(group.rate)}}}'
    )


def _earlier(quarter: EarlierQuarter) -> str:
    return (
        f'{{"closed_overage":{_decimal(quarter.closed_overage)}'
        f',"given_back":{_decimal(quarter.given_back)}'
        f',"late_billed_cents":{quarter.late_billed_cents}'
        f',"late_groups":{_all(map(_group, quarter.late_groups))}'
        f',"overage_billed_cents":{quarter.overage_billed_cents},"position":{quarter.position}}}'
    )


def _to_invoice(grant: GrantToInvoice) -> str:
    return (
        f'{{"cents":{grant.cents},"kind":{_text(grant.kind)}'
        f',"position":{grant.position},"ref":{_text(grant.ref)}}}'
    )


def _quarter(quarter: QuarterInput) -> str:
    return (
        f'{{"closed":{_SAID[quarter.closed]},"grants":{_all(map(_grant, quarter.grants))}'
        f',"index":{quarter.index},"policy":{_policy(quarter.policy)}'
        f',"refunded":{_decimal(quarter.refunded)},"settlement":{_text(quarter.settlement)}'
        f',"usage":{_all(map(_slice, quarter.usage))}}}'
    )


def _grant(grant: Grant) -> str:
    source = "null" if grant.source_kind is None else _text(grant.source_kind)
    return (
        f'{{"amount":{_decimal(grant.amount)},"created":{grant.created}'
        f',"expires_at":{_instant(grant.expires_at)},"kind":{_text(grant.kind)}'
        f',"paid":{_SAID[grant.paid]},"ref":{_text(grant.ref)},"rolls":{_SAID[grant.rolls]}'
        f',"rolls_whole":{_SAID[grant.rolls_whole]},"source_kind":{source}'
        f',"times_rolled":{grant.times_rolled}}}'
    )


def _policy(policy: RolloverPolicy) -> str:
    cap = "null" if policy.cap is None else _decimal(policy.cap)
    return (
        f'{{"cap":{cap},"fraction":{_decimal(policy.fraction)}'
        f',"max_times":{_or_null(policy.max_times)}}}'
    )


def _slice(piece: UsageSlice) -> str:
    return f'{{"amount":{_decimal(piece.amount)},"until":{_instant(piece.until)}}}'
