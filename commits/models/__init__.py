"""What commits stores: commits, quarters, grants, requests, closes, and what has been booked."""

from commits.models.backfills import Backfill, BackfillKind, BackfillShare, StagedEvent
from commits.models.closes import Close, CloseState
from commits.models.commits import Commit, CommitState, Quarter, QuarterState
from commits.models.grants import BookedDay, Grant
from commits.models.requests import Credit, OverrideRequest, TrueUp

__all__ = [
    "Backfill",
    "BackfillKind",
    "BackfillShare",
    "BookedDay",
    "Close",
    "CloseState",
    "Commit",
    "CommitState",
    "Credit",
    "Grant",
    "OverrideRequest",
    "Quarter",
    "QuarterState",
    "StagedEvent",
    "TrueUp",
]
