"""Where agents' own totals differ from what was stored, read-only and compared at each look."""

from datetime import timedelta

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from billing.admin import pages
from billing.admin.base import ReadOnlyAdmin
from billing.services import clock
from metering.models import ReportedTotal
from metering.services import cross_checks

SHOWN, HOURS = 500, 24 * 7


@admin.register(ReportedTotal)
class CrossCheckAdmin(ReadOnlyAdmin):
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, str] | None = None
    ) -> HttpResponse:
        """The differences of the last seven days, newest first."""
        self.require_view(request)
        end = clock.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        found = cross_checks.differences(start=end - timedelta(hours=HOURS), end=end)
        rows = [
            (
                pages.instant(one.hour),
                pages.text(one.customer),
                pages.text(one.model, small=f"{one.mode} {one.meter}"),
                pages.count(one.reported),
                pages.count(one.stored),
                pages.count(one.stored - one.reported),
            )
            for one in reversed(found[-SHOWN:])
        ]
        page = pages.Page(
            title="Cross-checks of usage",
            notes=[
                "Agents count what they send, hour by hour. What differs has been lost, doubled or "
                "refused, or was sent by somebody who does not report; what comes late settles its "
                "difference by itself."
            ],
            tables=[
                pages.Table(
                    "What differs, of the last seven days",
                    pages.columns(
                        "Hour", "Customer", "Usage", "#Reported", "#Stored", "#Difference"
                    ),
                    rows,
                    empty="Nothing: every hour that an agent reported is as stored.",
                )
            ],
        )
        return pages.render(request, page, opts=self.opts)
