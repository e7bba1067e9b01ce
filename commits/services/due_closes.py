"""Which quarters are due to close: of each chain the earliest not posted, after its grace."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from billing.domain.array_format import array_of
from commits.models import Commit, Quarter

# Few quarters are over and not posted. The earliest of a chain's is its earliest not posted: in a
# chain the quarters stand in the order of their time.
_DUE = """
WITH quarter AS MATERIALIZED (
    SELECT DISTINCT ON (origin_id) origin_id, commit_id, ends_at FROM commits_quarter
    WHERE state <> 'posted' AND ends_at <= %(as_of)s
        AND (%(among)s::uuid[] IS NULL OR origin_id = ANY (%(among)s))
    ORDER BY origin_id, position)
SELECT quarter.origin_id FROM quarter
JOIN commits_commit AS commit ON commit.id = quarter.commit_id
WHERE quarter.ends_at + commit.grace_hours * interval '1 hour' <= %(as_of)s
    AND (%(commit)s::uuid IS NULL OR %(commit)s IN (quarter.commit_id, quarter.origin_id))
ORDER BY quarter.origin_id"""


def due_at(commit: Commit, quarter: Quarter) -> datetime:
    """The instant from which a quarter may close."""
    return quarter.ends_at + timedelta(hours=commit.grace_hours)


def due_origins(
    *, as_of: datetime, commit_id: UUID | None = None, among: Sequence[UUID] | None = None
) -> list[UUID]:
    """Chains (of those asked for) whose earliest unposted quarter may close, in id order."""
    given = {
        "as_of": as_of,
        "commit": commit_id,
        "among": None if among is None else array_of(among),
    }
    with connection.cursor() as cursor:
        cursor.execute(_DUE, given)
        return [origin for (origin,) in cursor.fetchall()]
