"""The books and the bills: customers, API keys, the ledger, invoices, Stripe."""
