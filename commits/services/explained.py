"""The share of the journal's usage dollars that the events explain, for `check_ledger`.

Set-based: one pass over the journal, one over the events. The entries of a quarter and UTC day are
explained together, by their sum: it must be what the events of that day come to, counted again as
of the last of these entries. The late entries of a quarter are explained by what all of its events
come to as of the last of them, less what its days had booked. (Not entry by entry: a price that
fills a gap, or a contract that cuts a period, moves usage without a sequence number.)
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_DOWN, Decimal

from django.db import connection

from billing.domain.money import ZERO
from metering.services.recount import Cutoff, recounted_amounts

SHOWN = 100  # problems; beyond that they are counted

# Entries booked up to where a quarter opened ahead was taken away again add up to zero.
_BOOKED = """
WITH dollars AS (
    SELECT posting.entry_id, -sum(posting.amount) AS amount
    FROM billing_posting AS posting JOIN billing_ledgeraccount AS account
        ON account.id = posting.account_id
    WHERE account.code IN ('usage_revenue', 'overage_revenue')
    GROUP BY posting.entry_id
), said AS (
    SELECT entry.id, split_part(entry.key, '/', 2)::uuid AS origin_id,
        split_part(entry.key, '/', 4)::int AS position, split_part(entry.key, '/', 5) AS what,
        entry.usage_date, coalesce(dollars.amount, 0) AS amount,
        (entry.evidence ->> 'through_seq')::bigint AS through_seq,
        (entry.evidence ->> 'through_rated')::bigint AS through_rated, entry.booked_at,
        max(entry.id) FILTER (WHERE split_part(entry.key, '/', 3) = 'dropped') OVER (
            PARTITION BY split_part(entry.key, '/', 2), split_part(entry.key, '/', 4)) AS dropped_by
    FROM billing_journalentry AS entry LEFT JOIN dollars ON dollars.entry_id = entry.id
    WHERE entry.key LIKE 'usage/%%'
)
SELECT said.origin_id, said.position, said.id <= coalesce(said.dropped_by, 0) AS dropped,
    said.usage_date, said.what = 'late', sum(said.amount), sum(abs(said.amount)),
    max(said.through_seq), max(said.booked_at), max(said.through_rated), quarter.usage_period_id
FROM said LEFT JOIN commits_quarter AS quarter
    ON quarter.origin_id = said.origin_id AND quarter.position = said.position
WHERE said.usage_date IS NOT NULL OR said.what = 'late' OR said.id <= said.dropped_by
GROUP BY said.origin_id, said.position, dropped, said.usage_date, said.what = 'late',
    quarter.usage_period_id
ORDER BY said.origin_id, said.position, dropped DESC, said.usage_date"""


@dataclass(frozen=True, slots=True)
class ExplainedShare:
    """Usage dollars in the journal, counted without sign, how many of them the events make, and
    one sentence for each quarter and day (or what came late) that they do not."""

    booked: Decimal
    explained: Decimal
    problems: tuple[str, ...]

    @property
    def text(self) -> str:
        """The share, cut down to six decimals: "1" is all of it."""
        if self.explained == self.booked:
            return "1"
        share = self.explained / self.booked
        return f"{share.quantize(Decimal('0.000001'), rounding=ROUND_DOWN):f}"


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    booked: Decimal
    turnover: Decimal
    period_id: int | None
    day: date | None
    cutoff: Cutoff | None  # None for a quarter that went away


def explained_share() -> ExplainedShare:
    """Compare all usage dollars of the journal with the events. Changes nothing.

    The journal is read first: events are never changed, so what arrives meanwhile does not matter.
    """
    groups = _booked_groups()
    asked = {
        (group.period_id, group.day): group.cutoff
        for group in groups
        if group.cutoff is not None and group.period_id is not None
    }
    recounted = recounted_amounts(cutoffs=asked)
    of_days: dict[int, Decimal] = defaultdict(lambda: ZERO)
    for group in groups:
        if group.cutoff is not None and group.day is not None and group.period_id is not None:
            of_days[group.period_id] += group.booked
    booked = explained = ZERO
    problems: list[str] = []
    for group in groups:
        right = _right(group, recounted, of_days)
        booked += group.turnover
        if right == group.booked:
            explained += group.turnover
        else:
            problems.append(f"{group.name}: {group.booked} is booked, its events make {right}")
    if len(problems) > SHOWN:
        problems[SHOWN:] = [f"and {len(problems) - SHOWN} more of the kind"]
    return ExplainedShare(booked, explained, tuple(problems))


def _right(
    group: _Group,
    recounted: dict[tuple[int, date | None], Decimal],
    of_days: dict[int, Decimal],
) -> Decimal:
    if group.cutoff is None or group.period_id is None:
        return ZERO
    found = recounted[group.period_id, group.day]
    return found if group.day is not None else found - of_days[group.period_id]


def _booked_groups() -> list[_Group]:
    """The journal's usage by quarter and day, and by quarter what came late."""
    groups = []
    gone: dict[str, tuple[Decimal, Decimal]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_BOOKED, [])
        for origin, position, dropped, day, late, amount, turnover, *point, period in cursor:
            name = f"usage of chain {origin}, quarter {position}"
            if dropped:
                before = gone.get(name, (ZERO, ZERO))
                gone[name] = (before[0] + amount, before[1] + turnover)
                continue
            what = f"{name}, late" if late else f"{name}, {day}"
            seq, at, rated_seq = point
            cutoff = Cutoff(seq or 0, at, rated_seq)
            groups.append(_Group(what, amount, turnover, period, None if late else day, cutoff))
    groups += [
        _Group(f"{name}, which went away", amount, turnover, None, None, None)
        for name, (amount, turnover) in gone.items()
    ]
    return groups
