"""What invoices have billed of each quarter's usage: the cents, and the usage that they saw."""

from collections.abc import Sequence

from commits.domain.close import BillKind, EarlierQuarter, PlannedLine, UsageGroup
from commits.models import Quarter
from commits.services.chains import ChainState
from commits.services.close_inputs import groups_as_json


def count_cents(state: ChainState, lines: Sequence[PlannedLine]) -> list[Quarter]:
    """Add the cents of usage lines to what is billed of their quarters, which the caller saves."""
    changed = []
    for line in lines:
        billed = state.quarters[line.position - 1]
        if line.kind is BillKind.OVERAGE:
            billed.overage_billed_cents += line.cents
        elif line.kind is BillKind.LATE_USAGE:
            billed.late_billed_cents += line.cents
        else:
            continue
        changed.append(billed)
    return changed


def remember_late(state: ChainState, earlier: Sequence[EarlierQuarter]) -> list[Quarter]:
    """Late usage that has been settled is late no more: in the quarters that the caller saves."""
    changed = []
    for item in earlier:
        if item.late_groups:
            seen = state.quarters[item.position - 1]
            seen.billed_groups = _with_late(seen.billed_groups, item.late_groups)
            changed.append(seen)
    return changed


def _with_late(known: list[list[str]], late: tuple[UsageGroup, ...]) -> list[list[str]]:
    merged = {tuple(row[:4]): int(row[4]) for row in known}
    for row in groups_as_json(late):
        merged[tuple(row[:4])] = merged.get(tuple(row[:4]), 0) + int(row[4])
    return [[*key, str(quantity)] for key, quantity in sorted(merged.items()) if quantity]
