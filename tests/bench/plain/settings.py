"""The service's own settings, with the plain view in place of its addresses."""

from billing.config.settings import *  # noqa: F403
from billing.config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.bench.plain"]
ROOT_URLCONF = "tests.bench.plain.urls"
