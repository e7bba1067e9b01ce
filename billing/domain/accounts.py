"""The chart of accounts, the kinds of entries, and what an account is kept by.

Pure names and keys: what is posted to them stands in `billing.domain.journal`.
"""

from enum import StrEnum
from uuid import UUID

import msgspec


class AccountCode(StrEnum):
    """The chart of accounts. The comment gives what an account of that code is kept by."""

    BANK = "bank"  # customer
    STRIPE_CLEARING = "stripe_clearing"  # customer
    ACCOUNTS_RECEIVABLE = "accounts_receivable"  # customer
    UNBILLED_RECEIVABLE = "unbilled_receivable"  # customer, commit
    DEFERRED_REVENUE = "deferred_revenue"  # customer, commit, quarter
    SALES_TAX_PAYABLE = "sales_tax_payable"  # customer
    CUSTOMER_CREDITS = "customer_credits"  # customer
    REFUNDS_PAYABLE = "refunds_payable"  # customer
    USAGE_REVENUE = "usage_revenue"  # customer, commit
    OVERAGE_REVENUE = "overage_revenue"  # customer, commit
    BREAKAGE_REVENUE = "breakage_revenue"  # customer, commit
    CONTRA_REVENUE = "contra_revenue"  # customer, commit
    FEES = "fees"  # customer
    BAD_DEBT = "bad_debt"  # customer
    ROUNDING = "rounding"  # customer, commit


PER_QUARTER = frozenset({AccountCode.DEFERRED_REVENUE})
PER_COMMIT = frozenset(
    {
        AccountCode.UNBILLED_RECEIVABLE,
        AccountCode.USAGE_REVENUE,
        AccountCode.OVERAGE_REVENUE,
        AccountCode.BREAKAGE_REVENUE,
        AccountCode.CONTRA_REVENUE,
        AccountCode.ROUNDING,
    }
)


class EntryCode(StrEnum):
    """The kinds of entries. Stable: exports and the audit trail name them."""

    INVOICE_ISSUED = "invoice.issued"
    INVOICE_VOIDED = "invoice.voided"
    INVOICE_UNCOLLECTIBLE = "invoice.uncollectible"
    INVOICE_WRITTEN_OFF = "invoice.written_off"
    PAYMENT_STRIPE = "payment.stripe"
    PAYMENT_OUTSIDE = "payment.outside_stripe"
    PAYMENT_CUSTOMER_CREDIT = "payment.customer_credit"
    CREDIT_NOTE_ISSUED = "credit_note.issued"
    CREDIT_NOTE_MOVED = "credit_note.moved"
    REFUND_STRIPE = "refund.stripe"
    REFUND_OUTSIDE = "refund.outside_stripe"
    USAGE_DRAWDOWN = "usage.drawdown"
    USAGE_OVERAGE = "usage.overage"
    USAGE_REVERSED = "usage.reversed"
    USAGE_LATE = "usage.late"
    MONEY_COVERS_OVERAGE = "grant.covers_overage"
    OVERAGE_GIVEN_BACK = "overage.given_back"
    CREDIT_GRANTED = "credit.granted"
    ROLLOVER = "close.rollover"
    BREAKAGE = "close.breakage"
    CREDIT_EXPIRED = "close.credit_expired"
    RESIDUE = "commit.residue"


# (customer, commit, quarter, code), with nothing where there is none: a total order of accounts.
SortKey = tuple[int, str, int, str]


class AccountKey(msgspec.Struct, frozen=True):
    """One ledger account. `sort_key` gives the order in which account rows are locked."""

    code: AccountCode
    customer_id: int
    commit_id: UUID | None = None
    quarter_index: int | None = None

    @property
    def sort_key(self) -> SortKey:
        """A total order over accounts, with None first."""
        commit = msgspec.to_builtins(self.commit_id) if self.commit_id else ""
        return (self.customer_id, commit, self.quarter_index or 0, self.code._value_)


class Scope(msgspec.Struct, frozen=True):
    """Whose books an entry touches: a customer, and perhaps one commit."""

    customer_id: int
    commit_id: UUID | None = None

    def account(self, code: AccountCode, quarter_index: int | None = None) -> AccountKey:
        """The account of `code` in this scope, with just the dimensions that its code has."""
        if code in PER_QUARTER:
            return AccountKey(code, self.customer_id, self.commit_id, quarter_index)
        if code in PER_COMMIT:
            return AccountKey(code, self.customer_id, self.commit_id)
        return AccountKey(code, self.customer_id)
