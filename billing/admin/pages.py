"""The admin's own pages: facts, tables and buttons, drawn by one template.

A page is data; templates/admin/document.html draws it. Buttons post, so nothing changes by a GET.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse

from billing.domain.money import plain
from billing.templatetags import ledger_formats as formats

Text = str


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a page, already written for people."""

    text: Text = ""
    href: str = ""
    number: bool = False
    tone: str = ""
    small: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A table's heading."""

    label: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; `foot` holds totals."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    foot: Sequence[Cell] = ()
    empty: str = "None."


@dataclass(frozen=True, slots=True)
class Button:
    """An act: posted with hidden `fields`; with `asks`, a text box of that name goes along."""

    label: str
    url: str
    fields: dict[str, str] = field(default_factory=dict)
    tone: str = "primary"
    asks: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A way to another page."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Submit:
    """A second button of a form, known by its name. `value` goes along: the digest of the preview
    that it stands under."""

    name: str
    label: str
    value: str = "1"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the admin. `form` is shown above the rest and sent to this same address;
    `form_also` is the act that its first button only previews."""

    title: str
    subtitle: str = ""
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    facts: Sequence[tuple[str, Cell]] = ()
    tables: Sequence[Table] = ()
    buttons: Sequence[Button] = ()
    links: Sequence[Link] = ()
    form: forms.Form | None = None
    form_method: str = "post"
    form_submit: str = "Save"
    form_also: Submit | None = None


def render(
    request: HttpRequest, page: Page, *, opts: Any = None, status: int = 200
) -> TemplateResponse:
    """Draw a page inside the admin."""
    context = {
        **admin.site.each_context(request),
        "page": page,
        "title": page.title,
        "subtitle": page.subtitle or None,
        "breadcrumb_opts": opts,
    }
    return TemplateResponse(request, "admin/document.html", context, status=status)


def columns(*labels: str) -> list[Column]:
    """Headings; one that starts with `#` stands over numbers."""
    return [Column(label.removeprefix("#"), label.startswith("#")) for label in labels]


def effect(facts: Sequence[tuple[str, Cell]]) -> Table:
    """What an approval would do now, under a heading of its own."""
    rows = [(text(label), cell) for label, cell in facts]
    return Table("If approved now", columns("What", "#Effect"), rows)


def text(value: object, *, small: str = "", tone: str = "") -> Cell:
    return Cell("" if value is None else str(value), small=small, tone=tone)


def code(value: object) -> Cell:
    """An identifier, in a fixed-width font."""
    return Cell(str(value), tone="code")


def link(value: object, name: str, *args: object, small: str = "") -> Cell:
    """A value that leads to the page of that url name."""
    return Cell(str(value), href=reverse(name, args=args), small=small)


def money(value: Decimal | None, *, tone: str = "") -> Cell:
    """Dollars to the cent, right-aligned, the twelve decimals in the title and, where the cents
    hide something, on a second line."""
    if value is None:
        return Cell(number=True)
    shown, exact = formats.dollars(value), formats.exact(value)
    small = exact if len(exact) > len(shown) else ""
    return Cell(shown, number=True, tone=tone, small=small, title=f"{plain(value)} dollars exactly")


def brief(value: Decimal, *, tone: str = "") -> Cell:
    """Dollars for wide tables: the twelve decimals in the title alone."""
    title = f"{plain(value)} dollars exactly"
    return Cell(formats.dollars(value), number=True, tone=tone, title=title)


def nonzero(value: Decimal) -> Cell:
    """Dollars; an empty cell for zero, as in the columns of a journal."""
    return money(value) if value else Cell(number=True)


def cents(value: int | None) -> Cell:
    return Cell(formats.cents(value), number=True)


def rate(value: Decimal | None) -> Cell:
    """Dollars per single unit, every decimal."""
    return Cell(formats.exact(value), number=True) if value is not None else Cell()


def count(value: int | Decimal | None) -> Cell:
    return Cell(formats.quantity(value), number=True)


def instant(value: datetime | None) -> Cell:
    return Cell(formats.instant(value) or "-")


def on_day(value: date | None) -> Cell:
    return Cell(value.isoformat() if value else "-")


_TONES = {
    "open": "info", "planned": "warning-tone", "approved": "success", "posted": "success",
    "invoiced": "success", "draft": "warning-tone", "active": "success", "ended": "quiet",
    "finalized": "info", "paid": "success", "void": "quiet", "uncollectible": "danger",
    "requested": "warning-tone", "rejected": "danger", "withdrawn": "quiet", "revoked": "danger",
    "live": "success", "locked": "warning-tone", "unlocked": "info", "issued": "success",
}  # fmt: skip


def state(value: object) -> Cell:
    """A state as a badge."""
    return Cell(formats.words(value), tone=f"badge {_TONES.get(str(value), 'quiet')}")
