"""Finance's first page: what waits for someone, and how many of each."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from billing.admin import pages
from billing.admin.access import is_controller
from billing.models import (
    CreditNote,
    Invoice,
    InvoiceState,
    PeriodUnlock,
    RequestState,
    StripeEvent,
    WriteOff,
)
from billing.templatetags import ledger_formats as formats
from commits.models import (
    Close,
    CloseState,
    Credit,
    OverrideRequest,
    QuarterState,
    TrueUp,
)
from metering.models import PrivatePriceRequest, UnratedUsage, Waiver


def closes_that_wait() -> "QuerySet[Close]":
    """Planned closes that no rule may let pass, the oldest first."""
    return (
        Close.objects.filter(state=CloseState.PLANNED)
        .exclude(needs_human=[])
        .exclude(quarter__state=QuarterState.POSTED)
        .select_related("quarter__commit__customer")
        .order_by("quarter__ends_at", "pk")
    )


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's callback for the index: puts our page into its context."""
    context["title"] = "What waits for someone"
    seen = is_controller(request) or request.user.has_perm("commits.view_close")
    context["page"] = _page() if seen else pages.Page(title="", notes=["Choose a list."])
    return context


def _page() -> pages.Page:
    requested = {"state": RequestState.REQUESTED}
    asked, to_decide = "?state__exact=requested", "Asked for by one, to be decided by another."
    unpaid = Invoice.objects.filter(state=InvoiceState.FINALIZED)
    waiting = [
        ("Closes that need a human", "close_queue", "", closes_that_wait(), "Due, held back."),
        ("True-ups", "trueup_changelist", asked, TrueUp.objects.filter(**requested), to_decide),
        ("Credits", "credit_changelist", asked, Credit.objects.filter(**requested), to_decide),
        (
            "Fixed prices", "overriderequest_changelist", asked,
            OverrideRequest.objects.filter(**requested), to_decide,
        ),
    ]  # fmt: skip
    rows = [
        _row(title, f"commits_{name}", query, found.count(), why)
        for title, name, query, found, why in waiting
    ]
    rows += [
        _row(
            "Credit notes", "billing_creditnote_changelist", asked,
            CreditNote.objects.filter(**requested).count(), to_decide,
        ),
        _row(
            "Write-offs", "billing_writeoff_changelist", asked,
            WriteOff.objects.filter(**requested).count(), to_decide,
        ),
        _row(
            "Waivers of usage", "metering_waiver_changelist", asked,
            Waiver.objects.filter(**requested).count(), to_decide,
        ),
        _row(
            "Private prices", "metering_privatepricerequest_changelist", asked,
            PrivatePriceRequest.objects.filter(**requested).count(), to_decide,
        ),
        _row(
            "Months to be unlocked", "billing_periodunlock_changelist", asked,
            PeriodUnlock.objects.filter(**requested).count(), to_decide,
        ),
        _row(
            "Usage without a price", "metering_unratedusage_changelist",
            "?resolved_at__isempty=1",
            UnratedUsage.objects.filter(resolved_at=None).count(),
            "Kept, not billed; blocks the close of its quarter.",
        ),
        _row(
            "Invoices that do not reach Stripe", "billing_invoice_changelist",
            "?push_blocked__exact=1",
            Invoice.objects.filter(push_blocked=True).count(),
            "Blocked for good until someone has looked.",
        ),
        _row(
            "Credit notes that do not reach Stripe", "billing_creditnote_changelist",
            "?push_blocked__exact=1",
            CreditNote.objects.filter(push_blocked=True).count(),
            "Blocked for good until someone has looked.",
        ),
        _row(
            "Webhooks that could not be applied", "billing_stripeevent_changelist",
            "?applied_at__isempty=1",
            StripeEvent.objects.filter(applied_at=None).exclude(error="").count(),
            "Tried again by themselves.",
        ),
        _row(
            "Invoices that are not paid yet", "billing_invoice_changelist",
            "?state__exact=finalized", unpaid.count(), "With the customer.",
        ),
    ]  # fmt: skip
    table = pages.Table("", pages.columns("What", "#How many", "Why"), rows)
    return pages.Page(title="", tables=[table])


def _row(title: str, name: str, query: str, count: int, why: str) -> list[pages.Cell]:
    return [
        pages.Cell(title, href=reverse(f"admin:{name}") + query),
        pages.Cell(formats.quantity(count), number=True, tone="" if count else "quiet"),
        pages.text(why),
    ]
