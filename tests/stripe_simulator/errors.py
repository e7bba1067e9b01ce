"""The errors that the simulator answers with, in Stripe's words and shape.

Owns the exception and its JSON. Leaves open whether an error is kept for its idempotency key: that
depends on *where* it was raised (see `idempotency` and `service`).
"""

from __future__ import annotations

from typing import Any


class StripeFailure(Exception):
    """A refusal: HTTP status and the fields of Stripe's error object.

    `keeps_effects` says that what was done before the refusal stays (a declined card leaves its
    attempt on the invoice); otherwise everything is rolled back.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        type_: str = "invalid_request_error",
        keeps_effects: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.type = type_
        self.keeps_effects = keeps_effects

    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        error: dict[str, Any] = {"message": self.message, "type": self.type}
        if self.code is not None:
            error["code"] = self.code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        if self.param is not None:
            error["param"] = self.param
        return {"error": error}


class SchemaViolation(Exception):
    """An object or answer of the simulator that breaks Stripe's OpenAPI document: our bug."""

    def __init__(self, what: str, problems: list[str]) -> None:
        super().__init__(f"{what}: {'; '.join(problems)}")
        self.what = what
        self.problems = problems


def no_such(kind: str, id_: str, *, param: str, status: int = 404) -> StripeFailure:
    """Unknown object; 404 when the id stands in the path, 400 when it is a parameter."""
    words = kind.replace("_", " ")
    return StripeFailure(status, f"No such {words}: '{id_}'", code="resource_missing", param=param)


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> StripeFailure:
    """A 400 for a parameter that cannot be accepted."""
    return StripeFailure(400, message, param=param, code=code)


def missing(param: str) -> StripeFailure:
    """A required parameter was not sent."""
    return invalid(f"Missing required param: {param}.", param=param, code="parameter_missing")


def exclusive(*names: str) -> StripeFailure:
    """Parameters that exclude each other were sent together."""
    return invalid(
        f"You may only specify one of these parameters: {', '.join(names)}.",
        param=names[0],
        code="parameters_exclusive",
    )


def not_editable(message: str) -> StripeFailure:
    """The invoice has left the state in which this change is possible."""
    return invalid(message, code="invoice_not_editable")


def unauthorized(message: str) -> StripeFailure:
    """No key, or one that is no test secret key."""
    return StripeFailure(401, message)


def server_error() -> StripeFailure:
    """Stripe's 500, as a fault asks for it."""
    return StripeFailure(
        500,
        "An unknown error occurred. Please try again or contact support.",
        type_="api_error",
    )
