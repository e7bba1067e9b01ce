"""What each kind of key may do, and which customer it may read."""

from typing import ClassVar

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from billing.api.authentication import key_of
from billing.domain.errors import NotFound, NotPermitted
from billing.models import ApiKey, ApiKeyKind, Customer
from billing.services import api_keys, customers


class KeyOfKind(BasePermission):
    """Lets only keys of `kinds` in; another kind is 403, no key 401."""

    kinds: ClassVar[frozenset[str]] = frozenset()
    message = "A key of this kind may not do this."
    code = "wrong_kind_of_key"

    def has_permission(self, request: Request, view: APIView) -> bool:
        key = request.auth
        if not isinstance(key, ApiKey) or key.kind not in self.kinds:
            return False
        # A finance key is as good as its user: staff without the role may look, as in the admin.
        acts = key.kind == ApiKeyKind.FINANCE and request.method not in SAFE_METHODS
        return not acts or (key.user is not None and api_keys.is_controller(user=key.user))


class IsAgent(KeyOfKind):
    """Agents post usage."""

    kinds = frozenset({ApiKeyKind.AGENT.value})


class IsFinance(KeyOfKind):
    """Finance does everything else."""

    kinds = frozenset({ApiKeyKind.FINANCE.value})


class IsFinanceOrCustomer(KeyOfKind):
    """Finance, or a customer about itself: combine with `readable_customer`."""

    kinds = frozenset({ApiKeyKind.FINANCE.value, ApiKeyKind.CUSTOMER.value})


class IsFinanceOrAgent(KeyOfKind):
    """Finance, or an agent's gateway."""

    kinds = frozenset({ApiKeyKind.FINANCE.value, ApiKeyKind.AGENT.value})


def readable_customer(request: Request, key: str) -> Customer:
    """The customer, if this request may read it.

    Finance reads any. A customer's key reads its own: any other is NotFound, as if it did not
    exist, so that nobody can find out who our customers are. Agents read none (NotPermitted).
    """
    api_key = key_of(request)
    if api_key.kind == ApiKeyKind.FINANCE:
        return customers.get_customer(key=key)
    if api_key.kind == ApiKeyKind.CUSTOMER and api_key.customer is not None:
        if api_key.customer.key == key:
            return api_key.customer
        raise NotFound("customer_not_found", f"There is no customer {key!r}.")
    raise NotPermitted("wrong_kind_of_key", KeyOfKind.message)


def may_read(request: Request, customer_id: int) -> bool:
    """Whether this request may read that customer's things, for objects found by their own id."""
    api_key = key_of(request)
    return api_key.kind == ApiKeyKind.FINANCE or (
        api_key.kind == ApiKeyKind.CUSTOMER and api_key.customer_id == customer_id
    )
