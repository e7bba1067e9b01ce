"""Django's command line. Where no DATABASE_URL is set it runs against the embedded PostgreSQL of
DATA_DIR, whether the service is running on it or not."""

from __future__ import annotations

import os
import sys

from billing.config.launcher.environment import local_environment

# These look at the code alone: no server is started for them.
WITHOUT_DATABASE = frozenset({"check", "collectstatic", "help", "spectacular", "version"})


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing.config.settings")
    from django.core.management import execute_from_command_line

    if len(sys.argv) < 2 or sys.argv[1] in WITHOUT_DATABASE:
        execute_from_command_line(sys.argv)
        return
    with local_environment() as environment:
        os.environ.update(environment)
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
