"""Gives the demo's people passwords: run as a command, with the wanted logins on standard input.

`[{"user": "ada", "password": "...", "customer": null}]`; with a customer's key the user sees that
customer's dashboard alone, without one it is an existing finance user.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TypedDict

from billing.config.launcher.environment import local_environment
from tests.demo.service import Service


class Login(TypedDict):
    """A user's name and password, and the key of the customer that the user belongs to."""

    user: str
    password: str
    customer: str | None


def ask_for(service: Service, wanted: list[Login]) -> None:
    """Run this module against the service's data. Passwords go by pipe: others see arguments."""
    service.python("-m", "tests.demo.logins", text=json.dumps(wanted))


def main() -> None:
    """Set them all; setting them again changes the passwords."""
    wanted = json.load(sys.stdin)
    with local_environment() as environment:
        os.environ.update(environment)
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing.config.settings")
        import django

        django.setup()
        for login in wanted:
            set_login(login)


def set_login(login: Login) -> None:
    """Make the user if there is none, and set the password."""
    # Not at the top: Django must know its settings first.
    from django.contrib.auth.models import User

    from billing.models import Customer, CustomerLogin

    user, _ = User.objects.get_or_create(username=login["user"])
    user.set_password(login["password"])
    user.save()
    if login["customer"]:
        customer = Customer.objects.get(key=login["customer"])
        CustomerLogin.objects.get_or_create(user=user, defaults={"customer": customer})


if __name__ == "__main__":
    main()
