"""How often a password may be tried: per account and per network address, over all processes.

An attempt is written down before its password is looked at, and taken back when it was right, so
that a hundred at the same moment are counted like a hundred in a row. Times are real.
"""

import logging
from datetime import datetime, timedelta

from django.db import connection, transaction

from billing.domain.errors import NotPermitted
from billing.models import LoginAttempt

WINDOW = timedelta(minutes=15)
ACCOUNT_ATTEMPTS = 10
ADDRESS_ATTEMPTS = 50  # Many people may share one address.
_FORGOTTEN_AFTER = timedelta(days=1)
_LOCKS = 1_818_195_310  # "log.": a class of its own among advisory locks.
_log = logging.getLogger(__name__)


def begin(*, username: str, address: str, now: datetime) -> None:
    """Let a password be tried, and count it. Raises NotPermitted `too_many_logins`.

    A refused attempt is not counted: after the window has passed, the account is open again.
    """
    name = username[:150]
    with transaction.atomic():
        with connection.cursor() as cursor:
            for what in sorted((f"account {name}", f"address {address}")):
                cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCKS, what])
        recent = LoginAttempt.objects.filter(at__gt=now - WINDOW)
        of_account = recent.filter(username=name).count()
        of_address = recent.filter(address=address).count()
        if of_account >= ACCOUNT_ATTEMPTS or of_address >= ADDRESS_ATTEMPTS:
            _log.warning(
                "too many logins from %s: %s of this account, %s of this address",
                address, of_account, of_address,
            )  # fmt: skip
            minutes = int(WINDOW.total_seconds() // 60)
            raise NotPermitted(
                "too_many_logins", f"Too many attempts. Wait {minutes} minutes and try again."
            )
        LoginAttempt.objects.filter(at__lt=now - _FORGOTTEN_AFTER).delete()
        LoginAttempt.objects.create(username=name, address=address, at=now)


def succeed(*, username: str) -> None:
    """The password was right: what was tried of this account before counts no more."""
    LoginAttempt.objects.filter(username=username[:150]).delete()
