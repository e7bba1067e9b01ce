"""What is refused changes nothing: wrong keys, wrong people, other content, an instant to come."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.demo.client import ApiClient, ApiProblem
from tests.scenarios.story import add_customer, open_books, report, sign, spend
from tests.scenarios.world import World

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def signed(shared_world: World) -> World:
    """Acme has a commit and some usage; Dune is another customer."""
    open_books(shared_world, "acme", "dune")
    sign(shared_world)
    sign(shared_world, customer="dune")
    shared_world.set_clock("2026-02-01T00:00:00Z")
    report(shared_world, [spend("2026-01-15T10:00:00", "100")])
    for customer in ("acme", "dune"):
        shared_world.settle(customer)
    for client in (shared_world.ada, shared_world.agent, shared_world.customer("dune")):
        client.exchange("GET", "/customers/acme/balance")  # every key has been used today
    return shared_world


@contextmanager
def refused(world: World, status: int, code: str | None = None) -> Iterator[None]:
    """The block is answered with the status (and code), and no table has one row more or less."""
    before = world.row_counts()
    with pytest.raises(ApiProblem) as caught:
        yield
    assert caught.value.status == status, caught.value
    if code is not None:
        assert caught.value.code == code, caught.value
    assert world.row_counts() == before


FINANCE_POSTS: dict[str, Any] = {
    "/customers": {"key": "eve", "name": "Eve", "email": "eve@eve.example", "timezone": "UTC"},
    "/prices": {"model": "m", "mode": "serverless", "meter": "dollars", "price": "1",
                "effective_at": "2026-03-01T00:00:00Z"},
    "/meters": {"key": "images", "unit": "image"},
    "/commits": {"customer": "acme", "starts_on": "2027-01-01", "quarters": 1,
                 "instalment": "1.00", "discount": "0"},
    "/closes": {"as_of": "2026-01-01T00:00:00Z"},
    "/sandbox/clock": {"now": "2026-02-02T00:00:00Z"},
}  # fmt: skip


@pytest.mark.parametrize("route", FINANCE_POSTS)
@pytest.mark.parametrize("who", ["agent", "customer"])
def test_a_key_of_another_kind_is_403_on_finance_routes(
    signed: World, route: str, who: str
) -> None:
    client = signed.agent if who == "agent" else signed.customer("acme")
    with refused(signed, 403):
        client.ask("POST", route, _json(FINANCE_POSTS[route]), again=False)


@pytest.mark.parametrize("key", ["", "fin_0000000000000000_" + "0" * 64, "nonsense"])
def test_a_wrong_key_is_401(signed: World, key: str) -> None:
    stranger = ApiClient(signed.url, key)
    asked: list[Callable[[], Any]] = [
        lambda: stranger.get("/customers/acme/balance"),
        lambda: stranger.post("/usage", [spend("2026-01-20T10:00:00", "1").event()]),
        lambda: stranger.post("/customers", FINANCE_POSTS["/customers"]),
    ]
    for ask in asked:
        with refused(signed, 401):
            ask()


def test_another_customers_pages_are_404(signed: World) -> None:
    dune = signed.customer("dune")
    commit = signed.ada.get("/customers/acme/balance")["commit"]
    invoice = next(iter(signed.ada.listed("/customers/acme/invoices")))["id"]
    for route in (
        "/customers/acme/balance", "/customers/acme/usage", "/customers/acme/invoices",
        "/customers/acme/entries", f"/commits/{commit}/quarters", f"/invoices/{invoice}",
        "/customers/no-such/balance",
    ):  # fmt: skip
        with refused(signed, 404):
            dune.get(route)
    with refused(signed, 404):
        dune.post(f"/commits/{commit}/true-ups", {"amount": "1.00"})


def test_the_same_id_with_other_content_is_a_conflict(signed: World) -> None:
    first = spend("2026-01-20T10:00:00", "7")
    report(signed, [first])
    other = first.event()
    other["data"]["quantities"]["dollars"] = 8
    before = signed.row_counts()
    status, answer, _ = signed.agent.exchange("POST", "/usage", _json([other]))
    assert status == 422
    assert [row["code"] for row in answer["refused"]] == ["conflict"]
    assert answer["accepted"] == 0
    assert signed.row_counts() == before
    again = signed.agent.post("/usage", [first.event()])
    assert (again["accepted"], again["duplicates"]) == (0, 1)
    assert signed.row_counts() == before


def test_a_close_as_of_an_instant_to_come_is_422(signed: World) -> None:
    with refused(signed, 422, "as_of_in_future"):
        signed.ada.post("/closes", {"as_of": "2026-12-01T00:00:00Z"})


def test_a_close_with_nothing_due_is_200_with_no_rows(signed: World) -> None:
    before = signed.row_counts()
    assert signed.ada.post("/closes", {"as_of": "2026-01-31T00:00:00Z"})["results"] == []
    assert signed.row_counts() == before


def test_the_clock_does_not_go_back(signed: World) -> None:
    with refused(signed, 409, "clock_goes_back"):
        signed.set_clock("2025-12-31T00:00:00Z")


def test_a_batch_with_one_stranger_is_207(signed: World) -> None:
    add_customer(signed, "late-comer")
    known = spend("2026-01-21T10:00:00", "1", "late-comer")
    unknown = spend("2026-01-21T10:00:00", "1", "stranger")
    status, answer, _ = signed.agent.exchange(
        "POST", "/usage", _json([known.event(), unknown.event()])
    )
    assert status == 207
    assert answer["accepted"] == answer["unrated"] == 1
    assert [(row["index"], row["code"]) for row in answer["refused"]] == [(1, "unknown_customer")]


def _json(body: Any) -> bytes:
    return json.dumps(body).encode()
