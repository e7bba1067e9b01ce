"""Names the app `commits` to Django."""

from django.apps import AppConfig


class CommitsConfig(AppConfig):
    name = "commits"
    verbose_name = "Commits"
