"""How the finance admin looks: Unfold's settings. What stands in it is in billing/admin/site.py."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static


def _style(request: HttpRequest) -> str:
    return static("faces/admin.css")


def _mark(request: HttpRequest) -> str:
    return static("faces/mark.svg")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Commit billing ledger",
    "SITE_HEADER": "Commit ledger",
    "SITE_SUBHEADER": "Finance. All times UTC.",
    "SITE_URL": None,
    "SITE_SYMBOL": "account_balance_wallet",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _mark}],
    "LOGIN": {"form": "billing.web.logins.AdminLoginForm"},
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": False,
    "ENVIRONMENT": "billing.admin.site.environment",
    "DASHBOARD_CALLBACK": "commits.admin.home.dashboard",
    "STYLES": [_style],
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "#f0f8f5", "100": "#dcefe8", "200": "#badfd2", "300": "#8cc8b4",
            "400": "#5aab93", "500": "#398f78", "600": "#277260", "700": "#1f5a4c",
            "800": "#1a483e", "900": "#173c34", "950": "#0b211d",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": "billing.admin.site.navigation",
    },
}  # fmt: skip
