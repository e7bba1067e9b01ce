"""The finance admin of promises: commits, closes, true-ups and credits."""

from commits.admin import (
    backfills,
    closes,
    commits,
    credit_notes,
    credits,
    explanations,
    true_ups,
    waivers,
    write_offs,
)

__all__ = [
    "backfills",
    "closes",
    "commits",
    "credit_notes",
    "credits",
    "explanations",
    "true_ups",
    "waivers",
    "write_offs",
]
