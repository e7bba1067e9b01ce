"""Explanations as the API shows them; `manage.py explain` prints the same."""

from typing import Any

from billing.domain.money import plain
from commits.api.serializers import instant
from commits.services.explain import LineExplanation, PostingExplanation, UsageExplanation
from commits.services.explain_grants import GrantExplanation, GrantStep
from commits.services.explain_lines import BilledUsage
from metering.api.serializers import rate_body
from metering.services.recount import Cutoff, Recount


def line_body(line: LineExplanation) -> dict[str, Any]:
    """The explanation of an invoice line as the API shows it."""
    return {
        "id": str(line.id),
        "invoice": str(line.invoice),
        "kind": line.kind,
        "quarter": line.quarter,
        "description": line.description,
        "amount_cents": line.amount_cents,
        "grant": grant_body(line.grant) if line.grant else None,
        "usage": _billed_body(line.usage) if line.usage else None,
    }


def posting_body(posting: PostingExplanation) -> dict[str, Any]:
    """The explanation of a posting as the API shows it."""
    entry = posting.entry
    return {
        "id": str(posting.id),
        "account": posting.account,
        "account_quarter": posting.account_quarter,
        "amount": plain(posting.amount),
        "why": posting.why,
        "entry": {
            "id": str(entry.id),
            "key": entry.key,
            "code": entry.code,
            "description": entry.description,
            "accounting_date": entry.accounting_date.isoformat(),
            "usage_date": entry.usage_date.isoformat() if entry.usage_date else None,
            "booked_at": instant(entry.booked_at),
            "commit": str(entry.commit) if entry.commit else None,
            "quarter": entry.quarter,
            "origin_quarter": entry.origin_quarter,
            "invoice": str(entry.invoice) if entry.invoice else None,
        },
        "grant": str(posting.grant) if posting.grant else None,
        "usage": _usage_body(posting.usage) if posting.usage else None,
    }


def grant_body(grant: GrantExplanation) -> dict[str, Any]:
    """The explanation of a grant as the API shows it."""
    return {
        "id": str(grant.id),
        "ref": grant.ref,
        "kind": grant.kind,
        "why": grant.why,
        "created_at": instant(grant.created_at),
        "expires_at": instant(grant.expires_at),
        "times_rolled": grant.times_rolled,
        "requested_by": grant.requested_by or None,
        "approved_by": grant.approved_by or None,
        "invoice": str(grant.invoice) if grant.invoice else None,
        "invoice_lines": [str(pk) for pk in grant.invoice_lines],
        "entries": [str(pk) for pk in grant.entries],
        "way": [_step_body(step) for step in grant.way],
    }


def _step_body(step: GrantStep) -> dict[str, Any]:
    return {
        "grant": str(step.id),
        "commit": str(step.commit),
        "quarter": step.quarter,
        "kind": step.kind,
        "amount": plain(step.amount),
        "drawn": plain(step.drawn),
        "rolled_out": plain(step.rolled_out),
        "breakage": plain(step.broken),
        "returned": plain(step.returned),
        "remaining": plain(step.remaining),
    }


def _usage_body(usage: UsageExplanation) -> dict[str, Any]:
    return {
        **_range_body(usage.after, usage.through),
        "booked": plain(usage.booked),
        "drawn": plain(usage.drawn),
        "overage": plain(usage.overage),
        "recomputed": plain(usage.recomputed),
        "agrees": usage.agrees,
        **_recount_body(usage.recounted),
    }


def _billed_body(usage: BilledUsage) -> dict[str, Any]:
    share = usage.share
    return {
        **_range_body(usage.after, usage.through),
        "share": None
        if share is None
        else {
            "close": str(share.close),
            "digest": share.digest,
            "approved_by": share.approved_by,
            "approved_at": instant(share.approved_at),
            "overage": plain(share.overage),
            "group_quantity": share.group_quantity,
            "group_dollars": plain(share.group_dollars),
            "all_dollars": plain(share.all_dollars),
        },
        "recomputed": plain(usage.recounted.amount),
        "agrees": usage.agrees,
        **_recount_body(usage.recounted),
        "entries": [
            {
                "id": str(one.id),
                "code": one.code,
                "usage_date": one.usage_date.isoformat() if one.usage_date else None,
                "drawn": plain(one.drawn),
                "overage": plain(one.overage),
                "postings": [str(pk) for pk in one.postings],
            }
            for one in usage.entries
        ],
    }


def _range_body(after: Cutoff, through: Cutoff) -> dict[str, Any]:
    return {"after_seq": after.through_seq, "through_seq": through.through_seq}


def _recount_body(recount: Recount) -> dict[str, Any]:
    return {
        "rated": [
            {"quantity": g.quantity, "amount": plain(g.amount), "rate": rate_body(g.rate)}
            for g in recount.groups
        ],
        "event_count": recount.event_count,
        "events": [
            {
                "source": event.source,
                "id": event.id,
                "seq": event.seq,
                "time": instant(event.occurred_at),
                "sign": event.sign,
                "voided_by": event.voided_by,
            }
            for event in recount.events
        ],
    }
