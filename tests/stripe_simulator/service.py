"""One request from arrival to answer: key, route, faults, idempotency, execution, checks, log.

Owns the order of these stages. Knows nothing of sockets: an `Answer` without a status asks the
server to close the connection instead of answering.
"""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from . import expansion, forms, operations
from .access import rate_limited, require_key
from .call import Call
from .clock import Clock
from .errors import SchemaViolation, StripeFailure, invalid, server_error
from .faults import Faults
from .idempotency import Gate, Kept, fingerprint
from .operations import ALWAYS, Offer
from .spec import API_VERSION, Operation, Spec
from .store import Json, Store, new_id, public

logger = logging.getLogger("stripe_simulator")


@dataclass
class Request:
    """A request as it came in; header names in lower case."""

    method: str
    path: str
    query: str
    body: str
    headers: Mapping[str, str]
    id: str = field(default_factory=lambda: new_id("req"))

    @property
    def key(self) -> str | None:
        """The idempotency key; Stripe heeds it on POST alone."""
        return self.headers.get("idempotency-key") if self.method == "POST" else None


@dataclass
class Answer:
    """What to send back; no status: close the connection."""

    status: int | None
    body: str = ""
    outcome: str = "executed"
    headers: dict[str, str] = field(default_factory=dict)


def refusal(failure: StripeFailure, outcome: str = "refused") -> Answer:
    """An error as an answer."""
    return Answer(failure.status, json.dumps(failure.body()), outcome)


class Service:
    """Answers Stripe's API on a store."""

    def __init__(self, store: Store, spec: Spec, clock: Clock, faults: Faults) -> None:
        self.store, self.spec, self.clock, self.faults = store, spec, clock, faults
        self.gate = Gate(store)
        self.after_commit: Callable[[], None] = lambda: None

    def answer(self, request: Request) -> Answer:
        """The answer, logged and with Stripe's headers."""
        try:
            answer = self._staged(request)
        except StripeFailure as failure:
            answer = refusal(failure)
        except SchemaViolation as violation:
            self.record_violation(violation.what, violation.problems)
            answer = refusal(server_error(), "violation")
        except Exception:
            what = f"crash in {request.method} {request.path}"
            self.record_violation(what, [traceback.format_exc()[-1500:]])
            answer = refusal(server_error(), "violation")
        answer.headers["Request-Id"] = request.id
        answer.headers["Stripe-Version"] = API_VERSION
        if request.key is not None:
            answer.headers["Idempotency-Key"] = request.key
        if answer.status is not None and answer.status >= 400:
            self._check_error(answer)
        self._log(request, answer)
        return answer

    def _staged(self, request: Request) -> Answer:
        method, path = request.method, request.path
        fault = self.faults.take(("drop_request", "rate_limit"), method, path)
        if fault is not None and fault.kind == "drop_request":
            return Answer(None, outcome="dropped_request")
        require_key(request.headers.get("authorization", ""))
        if fault is not None:
            return refusal(rate_limited(), "rate_limited")
        offer, path_values = self._route(request)
        raw = forms.parse(request.query)
        raw.update(forms.parse(request.body))
        with self.gate.holding(request.key):
            answer = self._kept(request, raw) or self._executed(request, offer, path_values, raw)
        self.after_commit()
        if self.faults.take(("drop_response",), method, path) is not None:
            return Answer(None, outcome="dropped_response")
        return answer

    def _route(self, request: Request) -> tuple[Offer, dict[str, str]]:
        found = operations.find(request.method, request.path)
        if found is None or (self.spec.offers(request.path) and "{" in found[0].template):
            raise StripeFailure(
                404,
                f"Unrecognized request URL ({request.method}: {request.path}). Please see "
                "https://stripe.com/docs or we can help at https://support.stripe.com/.",
            )
        return found

    def _kept(self, request: Request, raw: Json) -> Answer | None:
        if request.key is None:
            return None
        endpoint = f"{request.method} {request.path}"
        kept = self.gate.kept(request.key, endpoint, fingerprint(raw), self.clock.now())
        if kept is None:
            return None
        headers = {"Idempotent-Replayed": "true", "Original-Request": kept.request_id}
        return Answer(kept.status, kept.body, "replayed", headers)

    def _executed(
        self, request: Request, offer: Offer, path_values: dict[str, str], raw: Json
    ) -> Answer:
        """Validate, then execute; from there on every answer is kept for the key."""
        operation = self.spec.operation(offer.method, offer.template)
        params = forms.decode(raw, operation.parameters)
        self._refuse_bad(params, offer, operation)
        method, path = request.method, request.path
        delay = self.faults.take(("delay",), method, path)
        if delay is not None:
            time.sleep(delay.seconds)
        fault = self.faults.take(("error_500", "error_500_after"), method, path)
        call = self.call(params, path_values, request)
        with self.store.transaction():
            if fault is not None and fault.kind == "error_500":
                status, body = 500, server_error().body()
            else:
                status, body = self._run(call, offer, operation)
            if fault is not None:
                status, body = 500, server_error().body()
            text = json.dumps(body)
            if request.key is not None:
                kept = Kept(status, text, request.id)
                endpoint = f"{method} {path}"
                self.gate.keep(request.key, endpoint, fingerprint(raw), kept, call.now)
        headers = {"Stripe-Should-Retry": "false"} if fault is not None else {}
        outcome = "fault" if fault is not None else "executed"
        return Answer(status, text, outcome, headers)

    def _refuse_bad(self, params: Json, offer: Offer, operation: Operation) -> None:
        problems = self.spec.parameter_problems(operation, params)
        if problems:
            raise invalid(f"Invalid request: {'; '.join(problems)}")
        for name in sorted(set(params) - offer.honours - ALWAYS):
            logger.error("the simulator does not offer %s on %s", name, offer.template)
            raise invalid(f"The simulator does not offer the parameter {name}.", param=name)

    def _run(self, call: Call, offer: Offer, operation: Operation) -> tuple[int, Json]:
        """Execute; a refusal undoes what was done, unless it says that it stays."""
        try:
            with self.store.transaction():
                try:
                    body = offer.run(call)
                    paths = call.params.get("expand", [])
                    body = public(expansion.expand(call, body, paths))
                except StripeFailure as failure:
                    if not failure.keeps_effects:
                        raise
                    return failure.status, failure.body()
        except StripeFailure as failure:
            return failure.status, failure.body()
        problems = self.spec.answer_problems(operation, body)
        if problems:
            raise SchemaViolation(f"answer of {offer.method} {offer.template}", problems)
        return 200, body

    def call(
        self,
        params: Json | None = None,
        path: dict[str, str] | None = None,
        request: Request | None = None,
    ) -> Call:
        """A call now, of a request or of the simulator itself."""
        return Call(
            store=self.store,
            spec=self.spec,
            now=self.clock.now(),
            params=params or {},
            path=path or {},
            request_id=request.id if request else None,
            idempotency_key=request.key if request else None,
        )

    def _check_error(self, answer: Answer) -> None:
        problems = self.spec.object_problems("error", json.loads(answer.body))
        if problems:
            self.record_violation(f"error answer {answer.status}", problems)

    def record_violation(self, what: str, problems: list[str]) -> None:
        """Keep, loudly, what broke Stripe's document."""
        logger.error("VIOLATION: %s: %s", what, problems)
        self.store.run(
            "INSERT INTO violations (at, what, problems) VALUES (?, ?, ?)",
            time.time(),
            what,
            json.dumps(problems),
        )

    def _log(self, request: Request, answer: Answer) -> None:
        code = None
        if answer.status is not None and answer.status >= 400:
            error = json.loads(answer.body)["error"]
            code = error.get("code", error["type"])
        self.store.run(
            "INSERT INTO requests (at, method, path, key, status, outcome, code)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            time.time(),
            request.method,
            request.path,
            request.key,
            answer.status,
            answer.outcome,
            code,
        )
