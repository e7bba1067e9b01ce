"""What invoices have billed of each quarter's usage: the cents, and the usage that they saw."""

from collections.abc import Sequence

from commits.domain.close import BillKind, EarlierQuarter, PlannedLine, UsageGroup
from commits.models import Quarter
from commits.services.chains import ChainState
from commits.services.close_inputs import groups_as_json

BILLED_FIELDS = ["overage_billed_cents", "late_billed_cents", "billed_groups", "closed_overage"]


def count_cents(state: ChainState, lines: Sequence[PlannedLine]) -> None:
    """Add the cents of usage lines to what is billed of their quarters; the caller saves them."""
    for line in lines:
        billed = state.quarters[line.position - 1]
        if line.kind is BillKind.OVERAGE:
            billed.overage_billed_cents += line.cents
        elif line.kind is BillKind.LATE_USAGE:
            billed.late_billed_cents += line.cents


def remember_late(state: ChainState, earlier: Sequence[EarlierQuarter]) -> None:
    """Late usage that has been settled is late no more; the caller saves the quarters."""
    for item in earlier:
        if item.late_groups:
            seen = state.quarters[item.position - 1]
            seen.billed_groups = _with_late(seen.billed_groups, item.late_groups)


def _with_late(known: list[list[str]], late: tuple[UsageGroup, ...]) -> list[list[str]]:
    merged = {tuple(row[:4]): int(row[4]) for row in known}
    for row in groups_as_json(late):
        merged[tuple(row[:4])] = merged.get(tuple(row[:4]), 0) + int(row[4])
    return [[*key, str(quantity)] for key, quantity in sorted(merged.items())]


def save_billed(quarters: Sequence[Quarter]) -> None:
    """Write what is billed of these quarters."""
    Quarter.objects.bulk_update(quarters, BILLED_FIELDS)
