"""Names the app `billing` to Django."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = "Books and bills"

    def ready(self) -> None:
        # The Celery app must be the current one before a task is sent by name or by `delay`.
        import billing.config.celery  # noqa: F401
