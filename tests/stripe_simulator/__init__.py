"""A Stripe of one's own: a small stateful server that the real `stripe` library speaks to.

Owns what a billing service uses of Stripe (customers, invoices and their lines and items, credit
notes, invoice payments, events, signed webhooks, idempotency), checked request by request and
answer by answer against Stripe's OpenAPI document. Takes no part in production: nothing under the
apps imports it, and it imports neither Django nor the apps.
"""

from .simulator import StripeSimulator

__all__ = ["StripeSimulator"]
