"""The customer asks for an increase: first its effect, then the request. Finance decides."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from billing.domain.errors import BillingError
from billing.models import Customer
from billing.services import clock
from commits.models import Commit, CommitState, TrueUp
from commits.services import previews, true_ups
from commits.services.balances import commit_in_force
from commits.services.true_ups import TrueUpRequest
from commits.web import outlook
from commits.web.access import actor_of, customer_page


class TrueUpForm(forms.Form):
    """What a customer says; the rest is finance's to agree."""

    amount = forms.DecimalField(
        label="More per quarter, in dollars",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    from_quarter = forms.IntegerField(
        label="From quarter", required=False, min_value=1, help_text="Empty: the running one."
    )
    through_quarter = forms.IntegerField(
        label="Through quarter", required=False, min_value=1, help_text="Empty: the term's last."
    )

    def wanted(self) -> TrueUpRequest:
        """The cleaned data as the service takes it."""
        return TrueUpRequest(**self.cleaned_data)


@customer_page
@require_http_methods(["GET", "HEAD", "POST"])
def true_ups_page(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The requests so far, and the form: a POST shows the effect, one more sends the request."""
    now = clock.now()
    commit = commit_in_force(customer=customer, at=now)
    can_ask = (
        commit is not None
        and commit.state == CommitState.ACTIVE
        and commit.quarter_count is not None
    )
    form = TrueUpForm(request.POST or None)
    context: dict[str, Any] = {
        "customer": customer,
        "now": now,
        "here": "true_ups",
        "form": form,
        "can_ask": can_ask,
        "commit": commit,
        "requests": TrueUp.objects.filter(commit__customer=customer),
    }
    if request.method == "POST" and commit is not None and can_ask and form.is_valid():
        if "send" in request.POST and _send(request, customer, commit, form):
            return redirect("web:true_ups")
        _preview(commit, form, context)
    return render(request, "web/true_ups.html", context, status=400 if form.errors else 200)


def _send(request: HttpRequest, customer: Customer, commit: Commit, form: TrueUpForm) -> bool:
    try:
        true_ups.request_true_up(
            commit_id=commit.pk,
            request=form.wanted(),
            actor=actor_of(request, customer),
            now=clock.now(),
        )
    except BillingError as error:
        form.add_error(None, error.detail)
        return False
    messages.success(request, "Your request is with our finance team. They decide, and bill it.")
    return True


def _preview(commit: Commit, form: TrueUpForm, context: dict[str, Any]) -> None:
    """Put the effect into the context, or the reason why it cannot be."""
    try:
        preview = previews.preview_true_up(
            commit_id=commit.pk, request=form.wanted(), now=context["now"]
        )
    except BillingError as error:
        form.add_error(None, error.detail)
        return
    context |= {"preview": preview, "rows": outlook.rows(preview)}
