"""The control endpoints under `/_control/`: not part of Stripe, for tests and demonstrations.

Owns their routes and JSON; each one calls the piece of the simulator that it controls.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .errors import StripeFailure
from .store import Json, public

if TYPE_CHECKING:
    from .simulator import StripeSimulator

Body = Json
Reply = tuple[int, Any]


class Control:
    """Answers control requests on a simulator."""

    def __init__(self, simulator: StripeSimulator) -> None:
        self._simulator = simulator
        self._routes: dict[tuple[str, str], Callable[[Body], Any]] = {
            ("GET", "clock"): lambda body: self._clock(),
            ("POST", "clock"): self._set_clock,
            ("GET", "faults"): lambda body: simulator.faults.listed(),
            ("POST", "faults"): self._order_fault,
            ("DELETE", "faults"): lambda body: simulator.faults.clear(),
            ("GET", "auto_pay"): lambda body: simulator.automation.auto_pay,
            ("POST", "auto_pay"): lambda body: simulator.automation.set_auto_pay(**body),
            ("GET", "webhooks"): lambda body: simulator.deliveries.modes,
            ("POST", "webhooks"): lambda body: simulator.deliveries.set_modes(**body),
            ("GET", "deliveries"): lambda body: simulator.deliveries.listed(),
            ("POST", "deliveries/resend"): lambda body: simulator.deliveries.resend(**body),
            ("GET", "log"): lambda body: simulator.log(),
            ("GET", "violations"): lambda body: simulator.violations(),
            ("GET", "objects"): lambda body: simulator.objects(),
            ("POST", "reset"): lambda body: simulator.reset(),
        }

    def answer(self, method: str, path: str, text: str) -> Reply:
        """Status and JSON for a path below `/_control/`."""
        try:
            body: Body = json.loads(text) if text.strip() else {}
            return self._answer(method, path.strip("/"), body)
        except StripeFailure as failure:
            return failure.status, failure.body()
        except (ValueError, TypeError) as error:
            return 400, {"error": {"message": str(error)}}

    def _answer(self, method: str, path: str, body: Body) -> Reply:
        route = self._routes.get((method, path))
        if route is not None:
            return 200, route(body)
        parts = path.split("/")
        if method == "POST" and len(parts) == 3 and parts[::2] == ["invoices", "pay"]:
            return 200, public(self._simulator.automation.pay(parts[1]))
        if method == "GET" and len(parts) == 2 and parts[0] == "objects":
            return 200, self._simulator.objects(parts[1])
        known = sorted({f"{name} /_control/{route}" for name, route in self._routes})
        return 404, {"error": {"message": "no such control", "known": known}}

    def _clock(self) -> Json:
        clock = self._simulator.clock
        return {"now": clock.now(), "offset_seconds": clock.offset_seconds}

    def _set_clock(self, body: Body) -> Json:
        if "offset_seconds" in body:
            self._simulator.clock.set_offset(int(body["offset_seconds"]))
        hours, seconds = body.get("advance_hours", 0), body.get("advance_seconds", 0)
        self._simulator.advance(hours=hours, seconds=seconds)
        return self._clock()

    def _order_fault(self, body: Body) -> Any:
        self._simulator.faults.add(**body)
        return self._simulator.faults.listed()
