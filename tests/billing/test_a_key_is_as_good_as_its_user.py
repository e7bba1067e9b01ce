"""A finance key of staff without the controller role may look and may not act."""

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from billing.models import ApiKeyKind, Customer
from billing.services import api_keys
from tests.billing.cast import NOW

pytestmark = pytest.mark.django_db


def test_staff_without_the_role_look_and_do_not_act() -> None:
    clerk = User.objects.create_user("clerk", is_staff=True)
    secret = api_keys.create_api_key(kind=ApiKeyKind.FINANCE, now=NOW, user=clerk).text
    client = APIClient(headers={"Authorization": f"Bearer {secret}"})
    new = {"key": "eve", "name": "Eve", "email": "eve@example.com"}
    assert client.get("/api/v1/customers").status_code == 200
    assert client.post("/api/v1/customers", new, format="json").status_code == 403
    assert not Customer.objects.filter(key="eve").exists()
    clerk.groups.add(api_keys.ensure_controller(name="ada").groups.get())
    assert client.post("/api/v1/customers", new, format="json").status_code == 201
