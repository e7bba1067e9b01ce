"""Real people's way through the pages, in a real browser. SHOTS=directory keeps pictures."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from billing.models import Invoice
from billing.services import (
    accounting_periods,
    credit_note_requests,
    invoice_voiding,
    write_offs,
)
from billing.services.credit_note_requests import NoteRequest
from commits.models import BackfillKind, Grant, Quarter, QuarterState
from commits.services import backfills
from metering.services import private_prices, waivers
from metering.services.price_book import NewPrice
from tests.faces.world import NOW, PASSWORD, Cast

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="NO CHROMIUM: the pages were not looked at"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()


HOUR = NOW.replace(minute=0)


class Visitor:
    """One browser window, what it complained about, and where it went outside."""

    def __init__(self, browser: Browser, base: str, *, width: int = 1280) -> None:
        self.base = base
        self.page: Page = browser.new_page(viewport={"width": width, "height": 900})
        self.complaints: list[str] = []
        self.outside: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._request(request.url))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def _request(self, url: str) -> None:
        if not url.startswith((self.base, "data:")):
            self.outside.append(url)

    def log_in(self, name: str) -> None:
        self.page.goto(f"{self.base}/login/")
        self.page.fill("input[name=username]", name)
        self.page.fill("input[name=password]", PASSWORD)
        self.page.click("button[type=submit]")

    def see(self, path: str, shot: str) -> Page:
        """Open an address, and keep a picture of it where one is wanted."""
        self.page.goto(f"{self.base}{path}")
        return self.shoot(shot)

    def shoot(self, shot: str) -> Page:
        if directory := os.environ.get("SHOTS"):
            Path(directory).mkdir(exist_ok=True)
            self.page.wait_for_timeout(200)
            self.page.screenshot(path=f"{directory}/{shot}.png", full_page=True)
        return self.page


def wider_than_window(page: Page) -> bool:
    """Whether the page scrolls sideways as a whole."""
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth + 1"))


def test_a_customer_looks_at_everything(
    browser: Browser, live_server: LiveServer, pushed: Cast
) -> None:
    acme = Visitor(browser, live_server.url)
    acme.see("/login/", "c-login")
    acme.log_in("acme-user")
    page = acme.shoot("c-overview")
    assert page.url == f"{live_server.url}/"
    assert page.get_by_role("img", name="Money remaining in Q2").is_visible()
    assert "$11,681.54" in page.inner_text(".figures")
    for path in ("usage", "quarters", "invoices", "true-ups", "password"):
        acme.see(f"/{path}/", f"c-{path}")
    acme.see("/usage/", "c-usage").click("text=$0.704 / 1M tokens >> nth=0")
    assert "how its rate comes about" in acme.shoot("c-rate").inner_text("main")
    invoice = Invoice.objects.filter(customer=pushed.acme).latest("created_at")
    acme.see(f"/invoices/{invoice.pk}/", "c-invoice")
    acme.see("/nowhere/", "c-404")
    acme.page.goto(f"{live_server.url}/true-ups/")
    acme.page.fill("input[name=amount]", "10000")
    acme.page.click("button[name=preview]")
    assert "Saves nothing" in acme.shoot("c-true-up-preview").inner_text("main")
    acme.page.click("button[name=send]")
    assert "with our finance team" in acme.shoot("c-true-up-sent").inner_text("main")
    assert acme.outside == []
    assert [text for text in acme.complaints if "404" not in text] == []


def test_overage_is_shown_below_zero(
    browser: Browser, live_server: LiveServer, pushed: Cast
) -> None:
    bolt = Visitor(browser, live_server.url)
    bolt.log_in("bolt-user")
    page = bolt.shoot("c-overage")
    assert page.locator(".chart .area.over").count() == 1
    page.emulate_media(media="print")
    bolt.shoot("c-print")
    page.emulate_media(media="screen", color_scheme="dark")
    bolt.shoot("c-dark")


def test_a_small_screen_does_not_scroll_sideways(
    browser: Browser, live_server: LiveServer, pushed: Cast
) -> None:
    acme = Visitor(browser, live_server.url, width=390)
    acme.log_in("acme-user")
    for path in ("", "usage/", "quarters/", "invoices/", "true-ups/"):
        page = acme.see(f"/{path}", f"m-{path.strip('/') or 'overview'}")
        assert not wider_than_window(page), path


def test_finance_approves_a_close_that_waits(
    browser: Browser, live_server: LiveServer, pushed: Cast
) -> None:
    ada = Visitor(browser, live_server.url)
    ada.log_in("ada")
    assert ada.page.url == f"{live_server.url}/admin/"
    ada.shoot("a-index")
    ada.see("/admin/commits/close/queue/", "a-queue").click("text=Bolt, Q1")
    page = ada.shoot("a-close")
    page.click("text=Approve exactly these figures")
    assert "approved and posted" in ada.shoot("a-commit-after").inner_text("body")
    quarter = Quarter.objects.get(commit=pushed.bolt_commit, index=1)
    assert quarter.state == QuarterState.POSTED
    assert ada.outside == []


def test_finance_looks_at_every_list(
    browser: Browser, live_server: LiveServer, pushed: Cast
) -> None:
    ada = Visitor(browser, live_server.url, width=1440)
    ada.log_in("ada")
    lists = (
        "billing/customer", "billing/apikey", "billing/invoice", "billing/journalentry",
        "billing/ledgeraccount", "billing/ledgeraccount/trial-balance", "billing/auditevent",
        "billing/accountingperiod", "metering/unratedusage", "metering/price", "metering/meter",
        "commits/commit", "commits/commit/add", "commits/close", "commits/trueup",
        f"commits/trueup/{pushed.true_up.pk}/change", "billing/apikey/add",
    )  # fmt: skip
    for path in lists:
        page = ada.see(f"/admin/{path}/", f"a-{path.replace('/', '-')[:40]}")
        assert page.locator("#content").is_visible(), path
    for path, shot in (
        (f"/admin/commits/commit/{pushed.acme_commit.pk}/change/", "a-commit"),
        (f"/admin/billing/customer/{pushed.acme.pk}/change/", "a-customer"),
        (f"/admin/commits/commit/{pushed.acme_commit.pk}/quarters/2/close/", "a-preview"),
    ):
        ada.see(path, shot)
    entry = pushed.acme.entries.latest("pk")
    ada.see(f"/admin/billing/journalentry/{entry.pk}/change/", "a-entry")
    invoice = pushed.acme.invoices.latest("created_at")
    ada.see(f"/admin/billing/invoice/{invoice.pk}/change/", "a-invoice-page")
    assert (ada.outside, ada.complaints) == ([], [])


def paths_of_finance(cast: Cast) -> dict[str, str]:
    """What finance does beside closes: explanations, requests, locks, corrections."""
    period = accounting_periods.lock_month(month=date(2026, 3, 1), actor_name="ada", now=NOW)
    unlock = accounting_periods.request_unlock(
        period_id=period.pk, reason="A bank fee came late", actor_name="ada", now=NOW
    )
    waiver = waivers.request_waiver(
        customer=cast.acme, reason="A trial that sales promised", model="mystery-1",
        actor_name="ada", now=NOW,
    )  # fmt: skip
    private = private_prices.request_private_price(
        customer=cast.acme,
        price=NewPrice("acme-tuned", "serverless", "output_tokens", Decimal("3.25"), HOUR),
        actor_name="ada",
        now=NOW,
    )
    invoice = cast.acme.invoices.latest("created_at")
    entry = cast.acme.entries.filter(code="usage.drawdown").latest("pk")
    note = credit_note_requests.request_note(
        invoice_id=invoice.pk,
        request=NoteRequest(cents=100_000, reason="Two weeks of outage"),
        actor=None,
        actor_name="ada",
        now=NOW,
    )
    unpaid = cast.dune.invoices.latest("created_at")
    invoice_voiding.void_invoice(
        invoice_id=unpaid.pk, reason="Insolvent", actor=None, actor_name="ada", now=NOW
    )
    given_up = write_offs.request_write_off(
        invoice_id=unpaid.pk, reason="Insolvent", actor_name="ada", now=NOW
    )
    backfill = backfills.declare_backfill(
        source="gateway",
        starts_at=datetime(2026, 2, 1, tzinfo=UTC),
        ends_at=datetime(2026, 2, 10, tzinfo=UTC),
        kind=BackfillKind.REPLACE,
        customer_keys=[cast.acme.key],
        reason="The gateway counted twice",
        actor_name="ada",
        now=NOW,
    )
    rolled = Grant.objects.get(kind="rollover", quarter__commit=cast.acme_commit)
    return {
        "entry": f"billing/journalentry/{entry.pk}/change/",
        "explain-posting": f"commits/grant/postings/{entry.postings.all()[0].pk}/",
        "explain-line": f"commits/grant/lines/{invoice.lines.all()[0].pk}/",
        "grants": "commits/grant/",
        "grant": f"commits/grant/{rolled.pk}/change/",
        "periods": "billing/accountingperiod/",
        "period": f"billing/accountingperiod/{period.pk}/change/",
        "period-add": "billing/accountingperiod/add/",
        "unlock": f"billing/periodunlock/{unlock.pk}/change/",
        "waivers": "metering/waiver/",
        "waiver": f"metering/waiver/{waiver.pk}/change/",
        "private-prices": "metering/privatepricerequest/",
        "private-price": f"metering/privatepricerequest/{private.pk}/change/",
        "private-price-add": "metering/privatepricerequest/add/",
        "meters": "metering/meter/",
        "prices": "metering/price/",
        "credit-notes": "billing/creditnote/",
        "credit-note": f"billing/creditnote/{note.pk}/change/",
        "credit-note-add": f"billing/creditnote/add/?invoice={invoice.pk}",
        "write-offs": "billing/writeoff/",
        "write-off": f"billing/writeoff/{given_up.pk}/change/",
        "write-off-add": "billing/writeoff/add/",
        "void-invoice": f"billing/invoice/{unpaid.pk}/change/",
        "invoice": f"billing/invoice/{invoice.pk}/change/",
        "correct-usage": "commits/commit/correct-usage/",
        "backfills": "commits/backfill/",
        "backfill": f"commits/backfill/{backfill.pk}/change/",
        "backfill-add": "commits/backfill/add/",
        "cross-checks": "metering/reportedtotal/",
        "index": "",
    }


@pytest.mark.parametrize(("width", "shot"), [(1440, "f"), (390, "p")])
def test_finance_does_the_rest(
    browser: Browser, live_server: LiveServer, pushed: Cast, width: int, shot: str
) -> None:
    ada = Visitor(browser, live_server.url, width=width)
    ada.log_in("ada")
    for name, path in paths_of_finance(pushed).items():
        page = ada.see(f"/admin/{path}", f"{shot}-{name}")
        assert page.locator("#content").is_visible(), path
        assert not wider_than_window(page), path
    page = ada.see("/admin/commits/commit/correct-usage/", f"{shot}-correct-usage")
    page.select_option("select[name=customer]", label="Acme (acme)")
    page.fill("textarea[name=voids]", "gateway, llama-2026-02-03")
    page.fill("input[name=reason]", "Counted twice")
    page.click("text=Show the effect")
    assert "was $" in ada.shoot(f"{shot}-correct-usage-effect").inner_text("body")
    assert (ada.outside, ada.complaints) == ([], [])
