"""The customer's pages: read from services, written by templates. Nothing here changes anything."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from billing.domain.errors import BillingError, NotFound
from billing.domain.money import ZERO
from billing.models import Customer, Invoice, InvoiceState
from billing.services import clock
from commits.models import Quarter
from commits.services import balances
from commits.web import chart, figures
from commits.web.access import customer_page
from metering.services import private_prices, rating, totals, usage_reports


@customer_page
@require_safe
def overview(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Balance, what it buys, when it runs out, the next invoice, the burn-down, the grants."""
    now = clock.now()
    context: dict[str, Any] = {"customer": customer, "now": now, "here": "overview"}
    try:
        balance = balances.read_balance(customer=customer, now=now)
    except NotFound:
        return render(request, "web/no_commit.html", context)
    period = balance.quarter.usage_period_id
    days = totals.day_amounts(period_ids=[period]).get(period, {})
    groups = figures.usage_groups(balance.quarter)
    estimates = figures.estimates(commit=balance.commit, now=now)
    context |= {
        "balance": balance,
        "rate_at": figures.rate_instant(balance.quarter, now),
        "chart": chart.burn_down(balance, days),
        "affordable": figures.affordable(balance),
        "estimates": estimates,
        "is_running": balance.quarter.starts_at <= now < balance.quarter.ends_at,
        "groups": groups[:6],
        "more_groups": max(len(groups) - 6, 0),
        "unpaid": Invoice.objects.filter(customer=customer, state=InvoiceState.FINALIZED),
    }
    return render(request, "web/overview.html", context)


@customer_page
@require_safe
def usage(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Usage of one quarter by model, mode and meter, and by day, with exact amounts."""
    now = clock.now()
    context: dict[str, Any] = {"customer": customer, "now": now, "here": "usage"}
    own = Quarter.objects.filter(commit__customer=customer).select_related("commit")
    begun = list(own.filter(starts_at__lte=now).order_by("-starts_at"))
    if not begun:
        return render(request, "web/no_commit.html", context)
    asked = request.GET.get("quarter", "")
    quarter = begun[0]
    if asked:
        if not asked.isdecimal():
            raise Http404("There is no such quarter.")
        # Of this customer's own quarters: another's number is simply not among them.
        quarter = get_object_or_404(own, pk=int(asked[:18]))
    groups = figures.usage_groups(quarter)
    period = quarter.usage_period_id
    days = totals.day_amounts(period_ids=[period]).get(period, {})
    peak = max(days.values(), default=ZERO)
    context |= {
        "projects": figures.by_project(quarter, customer),
        "idle": usage_reports.idle_hardware(
            customer_id=customer.pk, start=quarter.starts_at, end=quarter.ends_at
        ),
        "rate_at": figures.rate_instant(quarter, now),
        "private_prices": private_prices.private_prices_of(customer=customer),
        "quarter": quarter,
        "quarters": begun,
        "groups": groups,
        "total": sum((group.amount for group in groups), ZERO),
        "days": [(day, amount, int(100 * amount / peak)) for day, amount in days.items() if peak],
        "unrated": totals.open_unrated_counts(period_ids=[period]).get(period, 0),
    }
    return render(request, "web/usage.html", context)


@customer_page
@require_safe
def explained(request: HttpRequest, customer: Customer) -> HttpResponse:
    """How a committed rate came about: list price, mode, protection, discount or fixed price."""
    now = clock.now()
    asked = {key: request.GET.get(key, "")[:200] for key in ("model", "mode", "meter")}
    try:
        at = datetime.fromisoformat(request.GET.get("at", "")).replace(tzinfo=UTC)
    except ValueError:
        at = now
    try:
        rate = rating.explain_rate(customer_id=customer.pk, occurred_at=at, **asked)
    except BillingError as error:
        raise Http404(error.detail) from error
    context = {"customer": customer, "now": now, "here": "usage", "rate": rate}
    return render(request, "web/rate.html", context)


@customer_page
@require_safe
def quarters(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Every quarter of every commit, with the recomputed figures."""
    chains = [
        (commit, balances.read_quarters(commit=commit)) for commit in figures.commits_of(customer)
    ]
    context = {"customer": customer, "now": clock.now(), "here": "quarters", "chains": chains}
    return render(request, "web/quarters.html", context)


@customer_page
@require_safe
def invoices(request: HttpRequest, customer: Customer) -> HttpResponse:
    """All invoices that have been issued."""
    found = Invoice.objects.filter(customer=customer).exclude(state=InvoiceState.DRAFT)
    context = {"customer": customer, "now": clock.now(), "here": "invoices", "invoices": found}
    return render(request, "web/invoices.html", context)


@customer_page
@require_safe
def invoice(request: HttpRequest, customer: Customer, invoice_id: UUID) -> HttpResponse:
    """One invoice with its lines. Another customer's is not found."""
    issued = Invoice.objects.filter(customer=customer).exclude(state=InvoiceState.DRAFT)
    found = get_object_or_404(issued, pk=invoice_id)
    context = {"customer": customer, "now": clock.now(), "here": "invoices", "invoice": found}
    return render(request, "web/invoice.html", context | {"lines": found.lines.all()})
