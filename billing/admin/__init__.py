"""The finance admin of the books: customers, keys, invoices, the journal, the audit trail."""

from billing.admin import customers, invoices, ledger, periods, records

__all__ = ["customers", "invoices", "ledger", "periods", "records"]
