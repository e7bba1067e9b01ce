"""The errors that services raise: five families, each instance with a stable snake_case code.

The API floor maps families to HTTP statuses in one table; nothing else inspects the type.
"""


class BillingError(Exception):
    """Base of every error that a caller is meant to read. `code` never changes once published."""

    def __init__(self, code: str, detail: str = "", **extra: object) -> None:
        super().__init__(detail or code)
        self.code = code
        self.detail = detail or code.replace("_", " ")
        self.extra = extra


class InvalidInput(BillingError):
    """What was asked makes no sense, whatever the state of the books."""


class NotFound(BillingError):
    """There is no such thing, or the caller may not know of it."""


class NotPermitted(BillingError):
    """The caller is known and may not do this (maker is checker, or the wrong kind of key)."""


class Conflict(BillingError):
    """What was asked does not fit the present state of the books."""


class IdempotencyConflict(Conflict):
    """The same key came before with other content."""


class ExternalFailure(BillingError):
    """A system outside did not do its part. `permanent`: trying again cannot help."""

    def __init__(self, code: str, detail: str = "", *, permanent: bool) -> None:
        super().__init__(code, detail)
        self.permanent = permanent


class InvariantViolation(BillingError):
    """The books would contradict themselves: a bug or a planted error, never a user's mistake."""
