"""Explanations as pages: an invoice line, a posting or a grant, down to the events behind it.

The same as `manage.py explain` and the API's `/explain/`. Grants have a list here too, because
their explanation is their page.
"""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from billing.admin import pages
from billing.admin.access import is_controller
from billing.admin.base import ReadOnlyAdmin
from billing.domain.errors import NotFound
from billing.domain.money import ZERO
from billing.templatetags import ledger_formats as formats
from commits.models import Grant
from commits.services import explain
from commits.services.explain import UsageExplanation
from commits.services.explain_grants import GrantExplanation
from commits.services.explain_lines import BilledUsage
from metering.domain.rates import Rate
from metering.services.recount import Recount

Facts = list[tuple[str, pages.Cell]]


@admin.register(Grant)
class GrantAdmin(ReadOnlyAdmin):
    list_display = (
        "customer", "quarter_name", "shown_kind", "amount_shown", "drawn_shown", "left_shown",
        "created",
    )  # fmt: skip
    list_filter = ("kind", "quarter__commit__customer")
    search_fields = ("ref", "quarter__commit__customer__key")
    related = ("quarter__commit__customer",)

    @admin.display(description="Customer", ordering="quarter__commit__customer__name")
    def customer(self, grant: Grant) -> str:
        return grant.quarter.commit.customer.name

    @admin.display(description="Quarter", ordering="quarter__index")
    def quarter_name(self, grant: Grant) -> str:
        return f"Q{grant.quarter.index}"

    @admin.display(description="Kind", ordering="kind")
    def shown_kind(self, grant: Grant) -> str:
        return formats.words(grant.kind)

    @admin.display(description="Amount", ordering="amount")
    def amount_shown(self, grant: Grant) -> SafeString | str:
        return formats.money(grant.amount)

    @admin.display(description="Drawn, as booked", ordering="drawn")
    def drawn_shown(self, grant: Grant) -> SafeString | str:
        return formats.money(grant.drawn)

    @admin.display(description="Left, as booked")
    def left_shown(self, grant: Grant) -> SafeString | str:
        gone = grant.drawn + grant.rolled_out + grant.broken + grant.returned
        return formats.money(grant.amount - gone)

    @admin.display(description="Granted (UTC)", ordering="created_at")
    def created(self, grant: Grant) -> str:
        return formats.stamp(grant.created_at)

    def get_urls(self) -> list[URLPattern]:
        seen = self.admin_site.admin_view
        return [
            path("postings/<int:pk>/", seen(self.posting), name="commits_explain_posting"),
            path("lines/<int:pk>/", seen(self.line), name="commits_explain_line"),
            *super().get_urls(),
        ]

    def page_of(self, request: HttpRequest, obj: Grant) -> pages.Page:
        found = explain.explain_grant(id=obj.pk)
        return pages.Page(
            title=f"Grant: {found.why}",
            subtitle=f"{obj.quarter.commit.customer.name}, {self.quarter_name(obj)}",
            facts=_grant_facts(found),
            tables=[_way(found)],
        )

    def posting(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Why a posting stands in the books."""
        _require(request, "billing.view_journalentry")
        try:
            found = explain.explain_posting(id=pk)
        except NotFound as error:
            raise Http404(error.detail) from error
        entry = found.entry
        account = formats.words(found.account)
        if found.account_quarter:
            account += f", Q{found.account_quarter}"
        facts: Facts = [
            ("Debit" if found.amount > 0 else "Credit", pages.money(abs(found.amount))),
            ("Account", pages.text(account)),
            ("Why", pages.text(found.why)),
            ("Entry", pages.link(f"#{entry.id}", "admin:billing_journalentry_change", entry.id)),
            ("Accounting date (UTC)", pages.on_day(entry.accounting_date)),
            ("Usage date (UTC)", pages.on_day(entry.usage_date)),
            ("Booked at", pages.instant(entry.booked_at)),
        ]
        if found.grant:
            facts.append(("Grant", _grant_link(found.grant)))
        if entry.invoice:
            facts.append(("Invoice", _invoice_link(entry.invoice)))
        tables: list[pages.Table] = []
        if found.usage is not None:
            facts += _usage_facts(found.usage)
            tables = _behind(found.usage.recounted)
        page = pages.Page(
            title=f"Posting #{found.id} explained",
            subtitle=entry.description or entry.code,
            warnings=_disagreement(found.usage.agrees if found.usage else None),
            facts=facts,
            tables=tables,
        )
        return pages.render(request, page, opts=self.opts)

    def line(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What an invoice line bills."""
        _require(request, "billing.view_invoice")
        try:
            found = explain.explain_invoice_line(id=pk)
        except NotFound as error:
            raise Http404(error.detail) from error
        facts: Facts = [
            ("Amount", pages.cents(found.amount_cents)),
            ("Kind", pages.text(formats.words(found.kind), small=f"Q{found.quarter}")),
            ("Invoice", _invoice_link(found.invoice)),
        ]
        tables: list[pages.Table] = []
        if found.grant is not None:
            facts += [("Grant", _grant_link(found.grant.id)), *_origin_facts(found.grant)]
            tables = [_way(found.grant)]
        if found.usage is not None:
            facts += _share_facts(found.usage)
            tables = [*_behind(found.usage.recounted), _entries(found.usage)]
        page = pages.Page(
            title="Invoice line explained",
            subtitle=found.description,
            warnings=_disagreement(found.usage.agrees if found.usage else None),
            facts=facts,
            tables=tables,
        )
        return pages.render(request, page, opts=self.opts)


def _require(request: HttpRequest, permission: str) -> None:
    if not is_controller(request) and not request.user.has_perm(permission):
        raise PermissionDenied


def _disagreement(agrees: bool | None) -> list[str]:
    return ["The events come to something else than was booked."] if agrees is False else []


def _grant_link(pk: int) -> pages.Cell:
    return pages.link(f"#{pk}", "admin:commits_grant_change", pk)


def _invoice_link(pk: Any) -> pages.Cell:
    return pages.link(str(pk)[:8], "admin:billing_invoice_change", pk)


def _origin_facts(grant: GrantExplanation) -> Facts:
    """Where a grant's money came from, and who agreed to it."""
    return [
        ("Why", pages.text(grant.why)),
        ("Granted", pages.instant(grant.created_at)),
        ("Asked by", pages.text(grant.requested_by or "-")),
        ("Approved by", pages.text(grant.approved_by or "-")),
    ]


def _grant_facts(grant: GrantExplanation) -> Facts:
    rolled = f"rolled {grant.times_rolled} times" if grant.times_rolled else ""
    facts: Facts = [
        ("Kind", pages.text(formats.words(grant.kind), small=rolled)),
        *_origin_facts(grant),
    ]
    if grant.expires_at:
        facts.append(("Expires", pages.instant(grant.expires_at)))
    if grant.invoice:
        facts.append(("Billed by invoice", _invoice_link(grant.invoice)))
    facts += [
        ("Invoice line", pages.link(f"#{pk}", "admin:commits_explain_line", pk))
        for pk in grant.invoice_lines
    ]
    facts += [
        ("Entry", pages.link(f"#{pk}", "admin:billing_journalentry_change", pk))
        for pk in grant.entries
    ]
    return facts


def _way(grant: GrantExplanation) -> pages.Table:
    rows = [
        (
            pages.link(f"Q{step.quarter}", "admin:commits_grant_change", step.id),
            pages.text(formats.words(step.kind)),
            *(
                pages.money(amount)
                for amount in (
                    step.amount, step.drawn, step.rolled_out, step.broken, step.returned,
                    step.remaining,
                )
            ),
        )
        for step in grant.way
    ]  # fmt: skip
    return pages.Table(
        "The way of this money",
        pages.columns(
            "Quarter", "As", "#Amount", "#Drawn", "#Rolled out", "#Breakage", "#Given back", "#Left"
        ),
        rows,
        note="As booked, from the quarter that it was granted in.",
    )


def _usage_facts(usage: UsageExplanation) -> Facts:
    return [
        ("Usage booked by this entry", pages.money(usage.booked)),
        ("of which drawn from grants", pages.money(usage.drawn)),
        ("of which overage", pages.money(usage.overage)),
        ("Recomputed from the events", pages.money(usage.recomputed)),
        ("Events counted", pages.count(usage.recounted.event_count)),
    ]


def _share_facts(usage: BilledUsage) -> Facts:
    facts: Facts = [
        ("Usage recomputed from the events", pages.money(usage.recounted.amount)),
        ("Events counted", pages.count(usage.recounted.event_count)),
    ]
    share = usage.share
    if share is not None:
        close = pages.link(share.digest[:12], "admin:commits_close_change", share.close)
        facts += [
            ("Overage shared by the close", pages.money(share.overage)),
            ("Dollars of this line's group", pages.money(share.group_dollars)),
            ("Dollars of all groups", pages.money(share.all_dollars)),
            ("Quantity of this group at approval", pages.count(share.group_quantity)),
            ("Close", close),
            (
                "Approved",
                pages.text(formats.instant(share.approved_at) or "-", small=share.approved_by),
            ),
        ]
    return facts


def _behind(recount: Recount) -> list[pages.Table]:
    """The rated quantities, each with its derivation, and the events that they are counted from."""
    rated = [
        (
            pages.text(
                group.rate.key.model, small=_joined((group.rate.key.mode, group.rate.key.meter))
            ),
            *_derivation(group.rate),
            pages.rate(group.rate.rate),
            pages.count(group.quantity),
            pages.money(group.amount),
        )
        for group in recount.groups
    ]
    total = sum((group.amount for group in recount.groups), ZERO)
    events = [
        (
            pages.code(event.id),
            pages.text(event.source),
            pages.instant(event.occurred_at),
            pages.count(event.seq),
            pages.text("counted" if event.sign > 0 else f"taken back by {event.voided_by}"),
        )
        for event in recount.events
    ]
    more = recount.event_count - len(events)
    return [
        pages.Table(
            "Rated quantities",
            pages.columns(
                "Usage", "#List price", "Mode and protection", "Discount", "#Rate each",
                "#Quantity", "#Dollars",
            ),
            rated,
            foot=(*(pages.text("Total" if not n else "") for n in range(6)), pages.money(total)),
            note="Counted again from the events, at rates derived again: nothing here is read "
            "from the journal.",
        ),
        pages.Table(
            "Events",
            pages.columns("Id", "Source", "Time", "#Sequence", "Counts"),
            events,
            note=f"The first {len(events)}; {more} more are counted." if more > 0 else "",
        ),
    ]  # fmt: skip


def _derivation(rate: Rate) -> tuple[pages.Cell, pages.Cell, pages.Cell]:
    """List price, mode and protection, discount: how a committed rate came about."""
    per = f"per {formats.quantity(rate.units_per_price)}"
    if rate.override is not None:
        fixed = pages.Cell(formats.exact(rate.override), number=True, small=per)
        return fixed, pages.text("fixed price"), pages.text("none: a fixed price")
    listed = rate.listed
    if listed is None:
        return pages.text(""), pages.text(""), pages.text("")
    words = ["private price"] if listed.is_private else []
    if listed.quoted_under != rate.key:
        words.append(f"from {_joined(listed.quoted_under[1:])}")
    if listed.factor != 1:
        words.append(f"times {listed.factor.normalize()}")
    if rate.cap is not None:
        words.append(f"protected at {formats.exact(rate.cap)}")
    return (
        pages.Cell(formats.exact(listed.price), number=True, small=per),
        pages.text(", ".join(words) or "as listed"),
        pages.text(formats.percent(rate.discount)),
    )


def _joined(parts: Sequence[str]) -> str:
    return ", ".join(formats.words(part).lower() for part in parts)


def _entries(usage: BilledUsage) -> pages.Table:
    rows = [
        (
            pages.link(f"#{one.id}", "admin:billing_journalentry_change", one.id, small=one.code),
            pages.on_day(one.usage_date),
            pages.money(one.drawn),
            pages.money(one.overage),
        )
        for one in usage.entries
    ]
    return pages.Table(
        "Journal entries of this quarter's usage",
        pages.columns("Entry", "Usage date", "#Drawn", "#Overage"),
        rows,
    )
