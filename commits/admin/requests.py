"""What is asked for about one commit: its customer in the list, its commit on the page."""

from typing import Any

from django.contrib import admin

from billing.admin import pages
from billing.admin.requests import RequestAdmin


class CommitRequestAdmin(RequestAdmin):
    related = ("commit__customer",)

    @admin.display(description="Customer", ordering="commit__customer__name")
    def customer(self, asked: Any) -> str:
        return str(asked.commit.customer.name)

    def course_of(self, asked: Any) -> list[tuple[str, pages.Cell]]:
        commit = pages.link(
            str(asked.commit_id)[:8], "admin:commits_commit_change", asked.commit_id
        )
        return [("Commit", commit), *super().course_of(asked)]
