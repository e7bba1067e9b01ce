"""Whose page this is: every customer page is handed the customer of the login, and no other.

A page gets its `Customer` from here and asks for nothing by an id of the request alone, so what
is not this customer's does not exist for it (404).
"""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers

from billing.models import Customer, CustomerLogin

P = ParamSpec("P")

# Nothing from anywhere else, no script at all, no inline style.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


def guarded(view: Callable[P, HttpResponseBase]) -> Callable[P, HttpResponseBase]:
    """Answers of this view carry the content security policy, and no cache keeps them."""

    @wraps(view)
    def answer(*args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        response = view(*args, **kwargs)
        response["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        add_never_cache_headers(response)
        return response

    return answer


def customer_page(
    view: Callable[Concatenate[HttpRequest, Customer, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """A page for logged-in users of a customer. Staff without one go to the admin."""

    @wraps(view)
    def page(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        login = CustomerLogin.objects.filter(user=request.user.pk).select_related("customer")
        found = login.first()
        if found is not None:
            return view(request, found.customer, *args, **kwargs)
        if request.user.is_staff:
            return HttpResponseRedirect(reverse("admin:index"))
        return render(request, "web/no_customer.html", status=403)

    return guarded(login_required(page))


def actor_of(request: HttpRequest, customer: Customer) -> str:
    """Who asks, as maker-checker knows them: staff by name, others as people of the customer."""
    name = str(request.user.get_username())
    if request.user.is_staff:
        return name
    return f"customer:{customer.key}:{name}"[:150]
