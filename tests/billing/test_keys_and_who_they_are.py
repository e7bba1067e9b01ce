"""API keys: made once, shown once, told apart, ended at once."""

import io
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.domain.errors import InvalidInput
from billing.models import ApiKey, ApiKeyKind, AuditEvent, Customer
from billing.services import api_keys
from tests.billing import cast

KINDS = [(ApiKeyKind.AGENT, "agent_"), (ApiKeyKind.CUSTOMER, "cust_"), (ApiKeyKind.FINANCE, "fin_")]


def make(kind: ApiKeyKind, acme: Customer) -> api_keys.NewApiKey:
    return api_keys.create_api_key(
        kind=kind,
        now=cast.NOW,
        customers=[acme] if kind == ApiKeyKind.CUSTOMER else [],
        user=api_keys.ensure_controller(name="ada") if kind == ApiKeyKind.FINANCE else None,
    )


@pytest.mark.parametrize(("kind", "prefix"), KINDS)
def test_a_key_is_recognised_and_its_secret_is_not_stored(
    acme: Customer, kind: ApiKeyKind, prefix: str
) -> None:
    made = make(kind, acme)
    assert made.text.startswith(prefix)
    assert api_keys.authenticate(presented=made.text, now=cast.NOW) == made.key
    secret = made.text.rsplit("_", 1)[1]
    assert len(bytes.fromhex(secret)) == 32
    with connection.cursor() as cursor:
        cursor.execute("SELECT billing_apikey::text FROM billing_apikey")
        assert secret not in str(cursor.fetchall())
    assert secret not in str(list(AuditEvent.objects.values()))


def test_what_is_not_the_key_is_no_key(acme: Customer) -> None:
    text = make(ApiKeyKind.AGENT, acme).text
    prefix, public_id, secret = text.split("_")
    wrong = "0" * 64
    for presented in (
        "", "agent", f"{prefix}_{public_id}", f"{prefix}_{public_id}_", f"fin_{public_id}_{secret}",
        f"{prefix}_{public_id}_{wrong}", f"{prefix}_{'0' * 16}_{secret}", text + "0", text.upper(),
        f"{prefix}_\x00_{secret}", f"{prefix}_{public_id}_\udcff", "ä_ö_ü",
    ):  # fmt: skip
        assert api_keys.authenticate(presented=presented, now=cast.NOW) is None, presented


def test_a_revoked_and_an_expired_key_are_refused_and_the_other_of_two_lives_on(
    acme: Customer,
) -> None:
    old, new = make(ApiKeyKind.AGENT, acme), make(ApiKeyKind.AGENT, acme)
    api_keys.revoke_api_key(key=old.key, now=cast.NOW, actor=None, actor_name="ada")
    assert api_keys.authenticate(presented=old.text, now=cast.NOW) is None
    assert api_keys.authenticate(presented=new.text, now=cast.NOW) == new.key
    ApiKey.objects.filter(pk=new.key.pk).update(expires_at=cast.NOW)
    assert api_keys.authenticate(presented=new.text, now=cast.NOW) is None
    assert AuditEvent.objects.filter(action="api_key.revoked").count() == 1


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}])
def test_a_finance_key_ends_with_its_user(acme: Customer, change: dict[str, bool]) -> None:
    made = make(ApiKeyKind.FINANCE, acme)
    User.objects.update(**change)
    assert api_keys.authenticate(presented=made.text, now=cast.NOW) is None


def test_the_last_use_is_written_at_most_once_a_minute(acme: Customer) -> None:
    made = make(ApiKeyKind.AGENT, acme)
    writes = 0
    for seconds in (0, 1, 59, 61, 62):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            api_keys.authenticate(presented=made.text, now=cast.NOW + timedelta(seconds=seconds))
        writes += sum("UPDATE" in query["sql"] for query in queries)
    assert writes == 2


def test_a_key_names_its_owner(acme: Customer) -> None:
    ada = api_keys.ensure_controller(name="ada")
    for kind, customers, user in (
        (ApiKeyKind.CUSTOMER, [], None), (ApiKeyKind.FINANCE, [], None),
        (ApiKeyKind.FINANCE, [acme], ada), (ApiKeyKind.AGENT, [], ada),
    ):  # fmt: skip
        with pytest.raises(InvalidInput):
            api_keys.create_api_key(kind=kind, now=cast.NOW, customers=customers, user=user)
    assert not ApiKey.objects.exists()


def run(*args: str) -> list[str]:
    out = io.StringIO()
    call_command("create_api_key", *args, stdout=out)
    return out.getvalue().rstrip("\n").split("\n")


def test_the_command_prints_the_key_alone_on_its_last_line(acme: Customer) -> None:
    for args in (
        ("--kind", "agent"), ("--kind", "agent", "--customer", "acme"),
        ("--kind", "customer", "--customer", "acme"), ("--kind", "finance", "--user", "ada"),
    ):  # fmt: skip
        key = api_keys.authenticate(presented=run(*args)[-1], now=cast.NOW)
        assert key is not None
        assert key.kind == args[1]
    limited = ApiKey.objects.filter(allowed_customers=acme)
    assert [key.kind for key in limited] == ["agent"]
    ada = User.objects.get(username="ada")
    assert ada.is_staff
    assert not ada.has_usable_password()
    assert list(ada.groups.values_list("name", flat=True)) == ["controller"]


def test_the_command_does_not_promote_a_user_who_is_no_staff(acme: Customer) -> None:
    User.objects.create(username="mallory")
    for args in (
        ("--kind", "finance", "--user", "mallory"), ("--kind", "finance"),
        ("--kind", "customer", "--customer", "nobody"), ("--kind", "agent", "--user", "ada"),
    ):  # fmt: skip
        with pytest.raises(CommandError):
            run(*args)
    assert not ApiKey.objects.exists()
    assert not User.objects.get(username="mallory").is_staff
