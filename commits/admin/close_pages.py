"""The close of one quarter: previewed at any time, approved by a human who saw its figures."""

from datetime import datetime
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse

from billing.admin import pages
from billing.admin.access import (
    actor_of,
    attempt,
    is_controller,
    push_soon,
    require_controller,
)
from billing.admin.base import ReadOnlyAdmin
from billing.domain.errors import BillingError, NotFound
from billing.services import clock
from billing.templatetags import ledger_formats as formats
from commits.domain.close import ClosePlan, PlannedLine
from commits.models import Close, CloseState, Commit, Quarter
from commits.services import closes, due_closes, invoicing


def reason_words(reason: str) -> str:
    """`over_limit: overage is above ...` as a sentence."""
    _, _, sentence = reason.partition(": ")
    return (sentence or reason)[:1].upper() + (sentence or reason)[1:]


class CloseViews(ReadOnlyAdmin):
    """The close pages of a commit's quarters, mixed into the admin of commits."""

    def close_urls(self) -> list[URLPattern]:
        route = "<uuid:commit_id>/quarters/<int:index>/close/"
        return [
            self.act_path(route, self.close_page, "close"),
            self.act_path(f"{route}approve/", self.approve, "approve_close"),
        ]

    def close_page(self, request: HttpRequest, commit_id: UUID, index: int) -> HttpResponse:
        """The plan of one quarter as of now; of a posted quarter, what was planned."""
        commit: Commit = self.seen(request, str(commit_id))
        try:
            quarter, plan, digest, reasons = closes.preview_close(commit_id=commit.pk, index=index)
        except NotFound as error:
            raise Http404(error.detail) from error
        except BillingError:
            posted = Close.objects.filter(quarter__commit=commit, quarter__index=index).exclude(
                state=CloseState.WITHDRAWN
            )
            return HttpResponseRedirect(
                reverse("admin:commits_close_change", args=[posted.get().pk])
            )
        return pages.render(
            request, self._close_page(request, commit, quarter, plan, digest, reasons)
        )

    def _close_page(
        self,
        request: HttpRequest,
        commit: Commit,
        quarter: Quarter,
        plan: ClosePlan,
        digest: str,
        reasons: list[str],
    ) -> pages.Page:
        due = due_closes.due_at(commit, quarter)
        is_due = due <= clock.now()
        waiting = f"A preview: the quarter may close from {formats.instant(due)} on."
        buttons = []
        if is_due and is_controller(request):
            buttons.append(
                pages.Button(
                    "Approve exactly these figures, and post",
                    self.url_of("approve_close", commit.pk, quarter.index),
                    fields={"digest": digest},
                    note="Refused if the figures have changed since this page was shown.",
                )
            )
        return pages.Page(
            title=f"Close of Q{quarter.index}, {commit.customer.name}",
            subtitle=f"{formats.instant(quarter.starts_at)} to {formats.instant(quarter.ends_at)}",
            notes=[] if is_due else [waiting],
            warnings=[f"A human is needed: {reason_words(reason)}." for reason in reasons],
            facts=_facts(quarter, plan, digest, due),
            buttons=buttons,
            links=[pages.Link("The commit", self.url_of("change", commit.pk))],
            tables=[_grants(plan), _lines(quarter, plan)],
        )

    def approve(self, request: HttpRequest, commit_id: UUID, index: int) -> HttpResponse:
        """Approve the plan that was shown, and post it."""
        require_controller(request)
        commit: Commit = self.seen(request, str(commit_id))
        here = self.url_of("close", commit.pk, index)
        if request.method != "POST":
            return HttpResponseRedirect(here)

        def approve_and_post() -> None:
            now = clock.now()
            close = closes.approve_close(
                commit_id=commit.pk,
                index=index,
                actor=actor_of(request),
                now=now,
                expected_digest=request.POST.get("digest", ""),
            )
            closes.post_approved(origin_id=close.quarter.origin_id, now=now)

        if attempt(request, approve_and_post, f"The close of Q{index} is approved and posted."):
            push_soon()
            return HttpResponseRedirect(self.url_of("change", commit.pk))
        return HttpResponseRedirect(here)


def _facts(
    quarter: Quarter, plan: ClosePlan, digest: str, due: datetime
) -> list[tuple[str, pages.Cell]]:
    figures = plan.figures
    facts = [
        ("State", pages.state(quarter.state)),
        ("May close from", pages.instant(due)),
        ("Granted", pages.money(figures.granted)),
        ("of which rolled in", pages.money(figures.rolled_in)),
        ("Used", pages.money(figures.used)),
        ("Overage", pages.money(figures.overage, tone="bad" if figures.overage else "")),
        ("Rolls out", pages.money(figures.rolled_out)),
        ("Breakage", pages.money(figures.breakage)),
        ("Invoice total", pages.cents(plan.total_cents)),
        ("Digest", pages.code(digest)),
    ]
    if plan.carried_cents:
        facts.insert(9, ("Carried, under Stripe's minimum", pages.cents(plan.carried_cents)))
    if plan.ends:
        facts.insert(9, ("Residue to rounding, as the commit ends", pages.money(plan.residue)))
    return facts


def _grants(plan: ClosePlan) -> pages.Table:
    rows = [
        (
            pages.text(place),
            pages.text(formats.words(item.grant.kind), small=item.grant.ref),
            pages.money(item.grant.amount),
            pages.money(item.drawn),
            pages.money(item.rolled_out),
            pages.money(item.broken),
        )
        for place, item in enumerate(plan.figures.grants, start=1)
    ]
    return pages.Table(
        "Grants, in draw order",
        pages.columns("Place", "Grant", "#Amount", "#Drawn", "#Rolls out", "#Breakage"),
        rows,
        empty="None: everything is overage.",
    )


def _lines(quarter: Quarter, plan: ClosePlan) -> pages.Table:
    positions = {line.position for line in plan.lines}
    quarters = {
        item.position: item
        for item in Quarter.objects.filter(origin=quarter.origin_id, position__in=positions)
    }

    def words(line: PlannedLine) -> str:
        found = quarters.get(line.position)
        return invoicing.describe(found, line) if found else formats.words(line.kind)

    rows = [
        (
            pages.text(words(line)),
            pages.text(formats.words(line.kind)),
            pages.count(line.quantity),
            pages.rate(line.rate),
            pages.cents(line.cents),
        )
        for line in plan.lines
    ]
    blank = pages.text("")
    return pages.Table(
        "Planned invoice lines",
        pages.columns("Description", "Kind", "#Quantity", "#Rate each", "#Amount"),
        rows,
        foot=(pages.text("Total"), blank, blank, blank, pages.cents(plan.total_cents)),
        empty="None: there is nothing to bill, or less than Stripe's minimum.",
    )
