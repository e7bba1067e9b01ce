"""What Stripe's document does not know is refused in Stripe's words, and changes nothing."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
import stripe

from tests.stripe_simulator import StripeSimulator

from .conftest import new_invoice


def test_unknown_parameters(world: StripeSimulator, client: stripe.StripeClient) -> None:
    wrong: Any = {"customer": "cus_x", "colour": "red"}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.invoices.create(wrong)
    assert (refused.value.code, refused.value.param) == ("parameter_unknown", "colour")
    nested: Any = {"lines": [{"amount": 1, "colour": "red"}]}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.invoices.add_lines(new_invoice(client).id, nested)
    assert refused.value.param == "lines[0][colour]"
    assert len(world.objects("invoice")) == 1


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({}, "parameter_missing", "customer"),
        ({"customer": "cus_nobody"}, "resource_missing", "customer"),
        ({"customer": ""}, "parameter_invalid_empty", "customer"),
        ({"days_until_due": "soon"}, "parameter_invalid_integer", "days_until_due"),
        ({"collection_method": "beg"}, None, "collection_method"),
        ({"auto_advance": "maybe"}, None, "auto_advance"),
        ({"number": "N" * 27}, None, "number"),
        ({"metadata": {"note": "x" * 501}}, None, "metadata[note]"),
        ({"days_until_due": 3, "due_date": 4_000_000_000}, "parameters_exclusive", None),
    ],
)
def test_malformed(
    client: stripe.StripeClient, params: dict[str, Any], code: str | None, param: str | None
) -> None:
    if "customer" not in params and code != "parameter_missing":
        params = {
            "customer": client.v1.customers.create({}).id,
            "collection_method": "send_invoice",
            **params,
        }
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.invoices.create(params)  # type: ignore[arg-type]
    assert refused.value.http_status == 400
    assert refused.value.code == code
    assert param is None or refused.value.param == param


def test_what_the_simulator_would_forget_is_refused(client: stripe.StripeClient) -> None:
    params: Any = {"customer": client.v1.customers.create({}).id, "default_tax_rates": ["txr_1"]}
    with pytest.raises(stripe.InvalidRequestError, match="does not offer"):
        client.v1.invoices.create(params)


def test_unknown_address_and_missing_key(world: StripeSimulator) -> None:
    def get(path: str, **headers: str) -> tuple[int, dict[str, Any]]:
        try:
            request = urllib.request.Request(world.url + path, headers=headers)  # noqa: S310
            urllib.request.urlopen(request)  # noqa: S310
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)["error"]
        raise AssertionError("accepted")

    status, error = get("/v1/wishes", Authorization="Bearer sk_test_x")
    assert status == 404 and error["message"].startswith("Unrecognized request URL (GET: /v1/wish")
    assert get("/v1/invoices/search", Authorization="Bearer sk_test_x")[0] == 404
    assert get("/v1/invoices")[0] == 401
    assert get("/v1/invoices", Authorization="Bearer sk_live_x")[0] == 401


def test_expansion_of_the_unexpandable(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        client.v1.invoices.retrieve(new_invoice(client).id, {"expand": ["status"]})
