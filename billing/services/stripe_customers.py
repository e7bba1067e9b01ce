"""Our customers at Stripe: each made once, found again by its metadata."""

import hashlib
import json

from billing.models import Customer
from billing.services import stripe_gateway


def stripe_customer_of(*, customer: Customer) -> str:
    """The customer's id at Stripe, made there if it has none.

    Looks before it creates, and creates with a key that follows from the content, so a lost answer
    or two workers at once end with one customer at Stripe. Calls Stripe.
    """
    if customer.stripe_customer_id:
        return customer.stripe_customer_id
    environment = stripe_gateway.environment()
    payload = {
        "name": customer.name,
        "email": customer.email,
        "metadata": {"ledger_customer": customer.key, "ledger_environment": environment},
    }
    found = [
        stripe_id
        for stripe_id, metadata in stripe_gateway.find_customers(email=customer.email)
        if metadata.get("ledger_customer") == customer.key
        and metadata.get("ledger_environment") == environment
    ]
    digest = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()[:16]
    stripe_id = (
        min(found)
        if found
        else stripe_gateway.create_customer(
            payload=payload, key=f"{environment}:customer:{customer.key}:{digest}"
        )
    )
    # Whoever came first is right: all invoices of a customer go to one customer at Stripe.
    Customer.objects.filter(pk=customer.pk, stripe_customer_id="").update(
        stripe_customer_id=stripe_id
    )
    customer.refresh_from_db(fields=["stripe_customer_id"])
    return customer.stripe_customer_id
