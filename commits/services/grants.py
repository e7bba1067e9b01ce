"""Grants as stored: what the chain says became of each, written beside the entries that book it."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from billing.services import row_sets
from commits.domain.chain import GrantFigures, GrantKind, QuarterFigures
from commits.models import Grant, Quarter
from commits.services.chains import ChainState


def project_grants(
    state: ChainState, figures: Sequence[QuarterFigures], now: datetime
) -> list[Grant]:
    """The grants whose stored figures differ from the chain's, changed and ready to be saved.

    Rollover grants that the chain has and the table has not are new (no primary key yet); those
    that the chain no longer has fall to zero.
    """
    changed: list[Grant] = []
    for item in figures:
        quarter = state.quarters[item.index - 1]
        stored = {
            grant.ref: grant for grant in (*state.issued[item.index], *state.rollovers[item.index])
        }
        seen = set()
        for place, grant_figures in enumerate(item.grants):
            ref = grant_figures.grant.ref
            seen.add(ref)
            row = stored.get(ref)
            if row is None:
                row = _new_rollover(quarter, grant_figures, now)
                state.rollovers[item.index].append(row)
            if _project(row, grant_figures, place):
                changed.append(row)
        for row in state.rollovers[item.index]:
            if row.ref not in seen and any(_figures(row)):
                row.amount = row.drawn = row.rolled_out = row.broken = row.amount * 0
                row.returned = row.amount
                changed.append(row)
    return changed


GRANT_FIELDS = ["amount", "drawn", "rolled_out", "broken", "returned", "draw_place", "invoice"]


def save_grants(grants: Sequence[Grant]) -> None:
    """Write changed grants: new rollover grants, and what became of those that are there."""
    row_sets.insert_rows([grant for grant in grants if not grant.pk])
    row_sets.update_rows([grant for grant in grants if grant.pk], GRANT_FIELDS)


def _new_rollover(quarter: Quarter, figures: GrantFigures, now: datetime) -> Grant:
    grant = figures.grant
    return Grant.fresh(
        quarter_id=quarter.pk,
        ref=grant.ref,
        kind=GrantKind.ROLLOVER,
        source_kind=grant.source_kind or "",
        amount=grant.amount,
        rolls=grant.rolls,
        rolls_whole=grant.rolls_whole,
        paid=grant.paid,
        times_rolled=grant.times_rolled,
        draw_place=-1,
        created_at=now,
    )


def _figures(row: Grant) -> tuple[Decimal, ...]:
    return (row.amount, row.drawn, row.rolled_out, row.broken, row.returned)


def _project(row: Grant, figures: GrantFigures, place: int) -> bool:
    """Let a stored grant say what the chain says; whether that changed it."""
    before = (*_figures(row), row.draw_place)
    row.amount = figures.grant.amount
    row.drawn, row.rolled_out, row.broken = figures.drawn, figures.rolled_out, figures.broken
    row.returned = figures.returned
    row.draw_place = place
    return before != (*_figures(row), row.draw_place)
