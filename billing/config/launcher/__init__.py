"""Starts what the service needs on one machine: PostgreSQL, the queue, the Stripe simulator, web,
worker and beat. Production composes the same parts by other means (docker/)."""
