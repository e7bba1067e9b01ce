"""What commits stores: commits, quarters, grants, true-ups, closes, and what has been booked."""

from commits.models.commits import (
    BookedDay,
    Close,
    CloseState,
    Commit,
    CommitState,
    Grant,
    Quarter,
    QuarterState,
    RequestState,
    TrueUp,
)

__all__ = [
    "BookedDay",
    "Close",
    "CloseState",
    "Commit",
    "CommitState",
    "Grant",
    "Quarter",
    "QuarterState",
    "RequestState",
    "TrueUp",
]
