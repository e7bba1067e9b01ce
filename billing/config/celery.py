"""The Celery application. What its settings mean stands in settings.py (`CELERY_...`)."""

from __future__ import annotations

import logging.config
import os
import warnings
from typing import Any

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing.config.settings")

app = Celery("ledger")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# Only a local service is run by root, in a container or on a rented machine; production's image
# has a user of its own, and no message is ever unpickled.
warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")


@setup_logging.connect
def use_our_logs(**_signal: Any) -> None:
    """Celery configures no logging of its own where this signal has a receiver."""
    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)
