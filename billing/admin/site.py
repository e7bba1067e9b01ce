"""What stands around every admin page: the sandbox clock, and the way to each list."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from billing.admin.access import is_controller
from billing.services import clock
from billing.templatetags import ledger_formats as formats


def environment(request: HttpRequest) -> list[str] | None:
    """The label in the header: in a sandbox, the time that the service believes it is."""
    if not settings.SANDBOX:
        return None
    return [f"Sandbox clock {formats.instant(clock.now())}", "warning"]


# (heading, [(title, icon, url name, view permission)])
_NAVIGATION: list[tuple[str, list[tuple[str, str, str, str]]]] = [
    (
        "Contracts",
        [
            ("Closes that need a human", "rule", "commits_close_queue", "commits.view_close"),
            ("Commits", "handshake", "commits_commit_changelist", "commits.view_commit"),
            ("True-ups", "trending_up", "commits_trueup_changelist", "commits.view_trueup"),
            ("Credits", "volunteer_activism", "commits_credit_changelist", "commits.view_credit"),
            (
                "Fixed prices", "price_check", "commits_overriderequest_changelist",
                "commits.view_overriderequest",
            ),
            ("Grants", "savings", "commits_grant_changelist", "commits.view_grant"),
            ("Closes", "event_available", "commits_close_changelist", "commits.view_close"),
            ("Customers", "domain", "billing_customer_changelist", "billing.view_customer"),
        ],
    ),
    (
        "Bills and books",
        [
            ("Invoices", "receipt_long", "billing_invoice_changelist", "billing.view_invoice"),
            (
                "Credit notes", "assignment_return", "billing_creditnote_changelist",
                "billing.view_creditnote",
            ),
            (
                "Write-offs", "money_off", "billing_writeoff_changelist", "billing.view_writeoff",
            ),
            (
                "Journal entries", "menu_book", "billing_journalentry_changelist",
                "billing.view_journalentry",
            ),
            (
                "Ledger accounts", "account_balance", "billing_ledgeraccount_changelist",
                "billing.view_ledgeraccount",
            ),
            (
                "Trial balance", "balance", "billing_ledgeraccount_trial_balance",
                "billing.view_ledgeraccount",
            ),
            (
                "Accounting periods", "lock", "billing_accountingperiod_changelist",
                "billing.view_accountingperiod",
            ),
        ],
    ),
    (
        "Usage and prices",
        [
            (
                "Unrated usage", "help_center", "metering_unratedusage_changelist",
                "metering.view_unratedusage",
            ),
            (
                "Correct usage", "edit_calendar", "commits_commit_correct_usage",
                "commits.change_commit",
            ),
            ("Backfills", "history_edu", "commits_backfill_changelist", "commits.view_backfill"),
            (
                "Cross-checks", "rule", "metering_reportedtotal_changelist",
                "metering.view_reportedtotal",
            ),
            ("Waivers", "do_not_disturb_on", "metering_waiver_changelist", "metering.view_waiver"),
            (
                "Private prices", "price_change", "metering_privatepricerequest_changelist",
                "metering.view_privatepricerequest",
            ),
            ("Prices", "sell", "metering_price_changelist", "metering.view_price"),
            ("Meters", "speed", "metering_meter_changelist", "metering.view_meter"),
        ],
    ),
    (
        "Access and records",
        [
            ("API keys", "key", "billing_apikey_changelist", "billing.view_apikey"),
            (
                "Customer logins", "badge", "billing_customerlogin_changelist",
                "billing.view_customerlogin",
            ),
            ("Users", "group", "auth_user_changelist", "auth.view_user"),
            ("Audit trail", "history", "billing_auditevent_changelist", "billing.view_auditevent"),
            ("Stripe inbox", "inbox", "billing_stripeevent_changelist", "billing.view_stripeevent"),
        ],
    ),
]  # fmt: skip


def _nearest(path: str) -> str:
    """The list that an address belongs to: the one with the longest address in front of it."""
    names = [name for _, entries in _NAVIGATION for _, _, name, _ in entries]
    found = {reverse(f"admin:{name}"): name for name in names}
    return max(
        ((url, name) for url, name in found.items() if path.startswith(url)), default=("", "")
    )[1]


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar: what this user may see."""
    here = _nearest(request.path)
    return [
        {
            "title": heading,
            "separator": True,
            "items": [
                {
                    "title": title,
                    "icon": icon,
                    "link": reverse(f"admin:{name}"),
                    "active": name == here,
                }
                for title, icon, name, permission in entries
                if request.user.has_perm(permission)
                or (is_controller(request) and not permission.startswith("auth."))
            ],
        }
        for heading, entries in _NAVIGATION
    ]
