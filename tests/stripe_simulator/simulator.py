"""The simulator as a whole: builds the pieces, starts and stops them, and is used in-process.

with StripeSimulator(webhook_url=..., webhook_secret="whsec_x") as stripe_world:
    client = stripe_world.client()
"""

from __future__ import annotations

import json
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .automation import Automation
from .clock import Clock
from .control import Control
from .deliveries import Deliveries
from .faults import Fault, Faults
from .server import Server
from .service import Service
from .spec import Spec
from .store import Json, Store, public
from .webhook_endpoints import install

if TYPE_CHECKING:
    import stripe

SHARED_SPEC: list[Spec] = []
SPEC_LOCK = threading.Lock()


def shared_spec() -> Spec:
    """The document, read once per process."""
    with SPEC_LOCK:
        if not SHARED_SPEC:
            SHARED_SPEC.append(Spec())
        return SHARED_SPEC[0]


class StripeSimulator:
    """A Stripe of one's own on 127.0.0.1; `data` None keeps everything in memory."""

    def __init__(
        self,
        *,
        port: int = 0,
        data: str | None = None,
        webhook_url: str | None = None,
        webhook_secret: str = "whsec_simulator",  # noqa: S107
        auto_pay: bool | None = None,
    ) -> None:
        self.webhook_url, self.webhook_secret = webhook_url, webhook_secret
        self.store = Store(data)
        self.clock = Clock(self.store)
        self.faults = Faults()
        self.service = Service(self.store, shared_spec(), self.clock, self.faults)
        self.deliveries = Deliveries(self.store, self.service.spec, self.clock)
        self.service.after_commit = self.deliveries.wake
        self.automation = Automation(self.service)
        self._install_endpoint()
        if auto_pay is not None:
            self.automation.set_auto_pay(enabled=auto_pay)
        self._server = Server(port, self.service, Control(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="stripe", daemon=True
        )

    def _install_endpoint(self) -> None:
        if self.webhook_url:
            install(self.store, self.webhook_url, self.webhook_secret, self.clock.now())

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """For `base_addresses={"api": url}`."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> StripeSimulator:
        """Serve, deliver and look after what is due, in background threads."""
        self._thread.start()
        self.deliveries.start()
        self.automation.start()
        return self

    def stop(self) -> None:
        """Stop the threads and close the store."""
        self._server.shutdown()
        self._server.server_close()
        self.automation.stop()
        self.deliveries.stop()
        self.store.close()

    def __enter__(self) -> StripeSimulator:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def client(self, api_key: str = "sk_test_simulator", **options: Any) -> stripe.StripeClient:
        """The real library's client, pointed here."""
        import stripe

        return stripe.StripeClient(api_key, base_addresses={"api": self.url}, **options)

    def advance(self, *, hours: float = 0, seconds: float = 0) -> int:
        """Move the simulated time and do what became due; returns the new time."""
        now = self.clock.advance(hours=hours, seconds=seconds)
        self.automation.look()
        return now

    def fault(self, kind: str, **order: Any) -> Fault:
        """Order a fault: see `faults.Fault` for its fields."""
        return self.faults.add(kind=kind, **order)

    def pay(self, invoice_id: str) -> Json:
        """Pay as the customer would on the hosted page."""
        shown: Json = public(self.automation.pay(invoice_id))
        return shown

    def webhooks(self, **modes: Any) -> Json:
        """Change how deliveries go: see `call.DEFAULT_MODES`."""
        return self.deliveries.set_modes(**modes)

    def wait_for_deliveries(self, seconds: float = 10) -> None:
        """Wait until no delivery is pending; `TimeoutError` otherwise."""
        deadline = time.monotonic() + seconds
        while self.deliveries.pending():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.deliveries.pending()} webhooks are still pending")
            time.sleep(0.01)

    def log(self) -> list[Json]:
        """Every request to Stripe's API: method, path, key, status, outcome, code."""
        return [dict(row) for row in self.store.rows("SELECT * FROM requests ORDER BY id")]

    def violations(self) -> list[Json]:
        """What broke Stripe's document, or crashed: must be empty."""
        rows = self.store.rows("SELECT * FROM violations ORDER BY id")
        return [{**dict(row), "problems": json.loads(row["problems"])} for row in rows]

    def objects(self, kind: str | None = None) -> list[Json]:
        """Everything stored, oldest first: of one kind, or of all."""
        condition, values = ("WHERE kind = ?", (kind,)) if kind else ("", ())
        rows = self.store.rows(f"SELECT body FROM objects {condition} ORDER BY seq", *values)  # noqa: S608
        return [public(json.loads(row["body"])) for row in rows]

    def reset(self) -> None:
        """Forget everything but the endpoint of the start."""
        self.faults.clear()
        with self.store.transaction():
            self.store.wipe()
            self._install_endpoint()
