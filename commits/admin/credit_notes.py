"""Credit notes: asked for with a preview of where the money goes, approved by another, and how far
each came on its way to Stripe."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.admin import pages
from billing.admin.access import actor_of, attempt, is_controller, refusal, require_controller
from billing.admin.forms import PlainForm
from billing.admin.requests import RequestAdmin
from billing.domain.errors import BillingError
from billing.domain.money import is_whole_cents, to_cents
from billing.models import CreditNote, CreditNoteKind, CreditNoteState, Invoice
from billing.services import clock, credit_note_push, credit_note_requests
from billing.services.credit_note_requests import NoteRequest
from billing.services.credit_notes import CREDITABLE
from billing.tasks import push_credit_note
from billing.templatetags import ledger_formats as formats
from commits.services import credit_notes
from commits.services.credit_notes import NotePreview

if TYPE_CHECKING:
    _ModelChoice = forms.ModelChoiceField[Invoice]
else:
    _ModelChoice = forms.ModelChoiceField


class InvoiceField(_ModelChoice):
    """Invoices to choose from, told by more than their number."""

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj}, {obj.customer.name}, {formats.cents(obj.total_cents)}"


class CreditNoteForm(PlainForm):
    invoice = InvoiceField(
        Invoice.objects.filter(state__in=CREDITABLE).select_related("customer"),
        help_text="Finalized or paid; a draft is voided instead.",
    )
    amount = forms.DecimalField(help_text="Dollars in whole cents, before tax.")
    kind = forms.ChoiceField(
        choices=[("", "The only kind of its lines"), *CreditNoteKind.choices], required=False
    )
    quarter = forms.IntegerField(
        required=False, min_value=1, help_text="Whose money is taken back; empty: the last billed."
    )
    as_credit = forms.BooleanField(
        required=False, label="Keep as a credit", help_text="What was paid is not refunded."
    )
    reason = forms.CharField(max_length=300, help_text="The customer reads it on the note.")

    def clean_amount(self) -> Any:
        amount = self.cleaned_data["amount"]
        if not 0 < amount < 10**15 or not is_whole_cents(amount):
            raise forms.ValidationError("More than nothing, in whole cents.")
        return amount

    def wanted(self) -> NoteRequest:
        """The cleaned data as the service takes it."""
        given = self.cleaned_data
        return NoteRequest(
            cents=to_cents(given["amount"]),
            reason=given["reason"],
            kind=CreditNoteKind(given["kind"]) if given["kind"] else None,
            quarter=given["quarter"],
            as_credit=given["as_credit"],
        )


@admin.register(CreditNote)
class CreditNoteAdmin(RequestAdmin):
    list_display = (
        "__str__", "customer", "invoice", "kind_words", "total", "shown_state", "push", "requested",
        "requested_by", "decided_by",
    )  # fmt: skip
    list_filter = ("state", "kind", "push_blocked", "invoice__customer")
    search_fields = ("number", "stripe_id", "invoice__number", "invoice__customer__key", "reason")
    related = ("invoice__customer",)
    form_class = CreditNoteForm
    add_title = "Ask for a credit note"
    add_note = "Takes back a part of one invoice. Another finance user decides."

    @admin.display(description="Customer", ordering="invoice__customer__name")
    def customer(self, note: CreditNote) -> str:
        return note.invoice.customer.name

    @admin.display(description="Kind", ordering="kind")
    def kind_words(self, note: CreditNote) -> str:
        return note.get_kind_display()

    @admin.display(description="Amount", ordering="total_cents")
    def total(self, note: CreditNote) -> SafeString:
        return format_html('<span class="money">{}</span>', formats.cents(note.total_cents))

    @admin.display(description="At Stripe")
    def push(self, note: CreditNote) -> str:
        if note.state == CreditNoteState.ISSUED:
            return note.stripe_id
        if note.state != CreditNoteState.APPROVED:
            return "-"
        return "blocked" if note.push_blocked else "failing" if note.push_error else "on its way"

    def get_urls(self) -> list[URLPattern]:
        return [
            self.act_path("<uuid:pk>/unblock/", self.unblock, "unblock"),
            self.act_path("<uuid:pk>/refunded/", self.refunded, "refunded"),
            *super().get_urls(),
        ]

    # --- asking, with a preview ---------------------------------------------------------------
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """A POST shows where the money would go; one with `ask` stores the request."""
        require_controller(request)
        form = CreditNoteForm(request.POST or None, initial={"invoice": request.GET.get("invoice")})
        facts: list[tuple[str, pages.Cell]] = []
        digest = ""
        if request.method == "POST" and form.is_valid():
            facts, digest = self._effect(form)
            if "ask" in request.POST and not form.errors:
                answer = None
                if request.POST["ask"] == digest:
                    answer = self.record(request, form)
                else:
                    form.add_error(None, "Its effect is not the one that was shown any more.")
                if answer is not None:
                    return answer
        page = pages.Page(
            title=self.add_title,
            notes=[self.add_note],
            form=form,
            form_submit="Show the effect",
            form_also=pages.Submit("ask", self.add_submit, digest) if facts else None,
            facts=facts,
        )
        return pages.render(request, page, opts=self.opts, status=400 if form.errors else 200)

    def _effect(self, form: CreditNoteForm) -> tuple[list[tuple[str, pages.Cell]], str]:
        """What it would do, and the digest of that; nothing where it is refused."""
        try:
            preview = credit_notes.preview_credit_note(
                invoice_id=form.cleaned_data["invoice"].pk, request=form.wanted(), now=clock.now()
            )
        except BillingError as error:
            form.add_error(None, refusal(error))
            return [], ""
        return _shown(preview), preview.digest

    def ask(self, form: Any, actor: str) -> CreditNote:
        return credit_note_requests.request_note(
            invoice_id=form.cleaned_data["invoice"].pk,
            request=form.wanted(),
            actor=None,
            actor_name=actor,
            now=clock.now(),
        )

    # --- deciding, and the way to Stripe ------------------------------------------------------
    def approve_as_seen(self, pk: UUID, actor: str, digest: str) -> None:
        credit_notes.approve_credit_note(
            note_id=pk, actor=None, actor_name=actor, now=clock.now(), expected_digest=digest
        )
        transaction.on_commit(lambda: push_credit_note.delay(str(pk)), robust=True)

    def digest_of(self, asked: CreditNote) -> str:
        preview, _ = _if_approved(asked)
        return preview.digest if preview else ""

    def reject(self, pk: UUID, actor: str, reason: str) -> None:
        credit_note_requests.reject_note(
            note_id=pk, actor=None, actor_name=actor, now=clock.now(), why=reason
        )

    def unblock(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        def again(actor: str) -> None:
            credit_note_push.unblock_note(note_id=pk, actor_name=actor, now=clock.now())
            transaction.on_commit(lambda: push_credit_note.delay(str(pk)), robust=True)

        return self._act(request, pk, again, "It is tried again.")

    def refunded(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        def paid(actor: str) -> None:
            credit_note_push.record_refund_paid(note_id=pk, actor_name=actor, now=clock.now())

        return self._act(request, pk, paid, "The refund by bank is booked.")

    def _act(
        self, request: HttpRequest, pk: UUID, act: Callable[[str], None], done: str
    ) -> HttpResponse:
        require_controller(request)
        note = self.seen(request, str(pk))
        if request.method == "POST":
            attempt(request, lambda: act(actor_of(request)), done)
        return self.back_to(note)

    def buttons_for(self, request: HttpRequest, asked: CreditNote) -> list[pages.Button]:
        found = super().buttons_for(request, asked)
        if not is_controller(request):
            return found
        waits = asked.state == CreditNoteState.APPROVED
        if waits and (asked.push_blocked or asked.push_error):
            found.append(pages.Button("Try the push again", self.url_of("unblock", asked.pk)))
        if asked.refund_outside_cents and asked.refunded_outside_at is None:
            found.append(
                pages.Button(
                    "We have refunded it by bank",
                    self.url_of("refunded", asked.pk),
                    note=f"{formats.cents(asked.refund_outside_cents)} that Stripe cannot refund.",
                )
            )
        return found

    def page_of(self, request: HttpRequest, obj: CreditNote) -> pages.Page:
        blocked = "A permanent failure: a person must look before it is tried again."
        booked = obj.state in (CreditNoteState.APPROVED, CreditNoteState.ISSUED)
        waits = obj.state == CreditNoteState.REQUESTED
        preview, refused = _if_approved(obj) if waits else (None, "")
        facts = [
            ("Amount", pages.cents(obj.total_cents)),
            ("Kind", pages.text(obj.get_kind_display(), small=f"Q{obj.quarter_index}")),
            ("Reason", pages.text(obj.reason)),
            *self.course_of(obj),
            ("Invoice", pages.link(obj.invoice, "admin:billing_invoice_change", obj.invoice_id)),
            (
                "Commit",
                pages.link(str(obj.commit_id)[:8], "admin:commits_commit_change", obj.commit_id),
            ),
            *(_money(obj)[1:] if booked else []),
            ("At Stripe", pages.text(self.push(obj))),
            ("Issued", pages.instant(obj.issued_at)),
            ("Tries", pages.count(obj.push_attempts)),
            ("Next try (real time)", pages.instant(obj.push_next_at)),
        ]
        return pages.Page(
            title=f"Credit note {obj}" if obj.number else "Credit note",
            subtitle=obj.invoice.customer.name,
            warnings=[
                *([blocked] if obj.push_blocked else []),
                *([refused] if refused else []),
                *([f"The last try to push it failed: {obj.push_error}"] if obj.push_error else []),
            ],
            facts=facts,
            tables=[pages.effect(_shown(preview))] if preview else [],
            buttons=self.buttons_for(request, obj),
        )


def _if_approved(note: CreditNote) -> tuple[NotePreview | None, str]:
    """What a note that waits would do now, or why it could not be approved."""
    try:
        return credit_notes.preview_approval(note_id=note.pk, now=clock.now()), ""
    except BillingError as error:
        return None, f"It cannot be approved now: {refusal(error)}"


def _shown(preview: NotePreview) -> list[tuple[str, pages.Cell]]:
    return [
        *_money(preview.note),
        ("Left to credit of these lines after it", pages.cents(preview.creditable_cents)),
        ("Balance now, with rollover to come", pages.money(preview.available_before)),
        ("Balance after it", pages.money(preview.available_after)),
    ]


def _money(note: CreditNote) -> list[tuple[str, pages.Cell]]:
    """Where a note's cents go."""
    return [
        ("Taken back", pages.cents(note.total_cents)),
        ("Off what is still to be paid", pages.cents(note.receivable_cents)),
        ("Refunded", pages.cents(note.refund_cents)),
        ("Kept as a credit", pages.cents(note.customer_credit_cents)),
        (
            "Taken from",
            pages.text(formats.words(note.debited), small=f"Q{note.quarter_index}"),
        ),
    ]
