"""What billing stores: customers, the ledger, invoices, and the records that make things once."""

from billing.models.credit_notes import RULE, CreditNote, CreditNoteKind, CreditNoteState
from billing.models.customers import ApiKey, ApiKeyKind, Customer, CustomerLogin
from billing.models.invoices import (
    Invoice,
    InvoiceLine,
    InvoiceState,
    LineKind,
    Occasion,
    PushStep,
    StripeCall,
)
from billing.models.ledger import JournalEntry, LedgerAccount, Posting
from billing.models.logins import LoginAttempt
from billing.models.periods import AccountingPeriod, PeriodUnlock
from billing.models.records import (
    AuditEvent,
    IdempotentRequest,
    JobRun,
    SandboxClock,
    StripeEvent,
)
from billing.models.requests import RequestState, TwoPersonRequest, approved_by_another
from billing.models.write_offs import WriteOff

__all__ = [
    "RULE",
    "AccountingPeriod",
    "ApiKey",
    "ApiKeyKind",
    "AuditEvent",
    "CreditNote",
    "CreditNoteKind",
    "CreditNoteState",
    "Customer",
    "CustomerLogin",
    "IdempotentRequest",
    "Invoice",
    "InvoiceLine",
    "InvoiceState",
    "JobRun",
    "JournalEntry",
    "LedgerAccount",
    "LineKind",
    "LoginAttempt",
    "Occasion",
    "PeriodUnlock",
    "Posting",
    "PushStep",
    "RequestState",
    "SandboxClock",
    "StripeCall",
    "StripeEvent",
    "TwoPersonRequest",
    "WriteOff",
    "approved_by_another",
]
