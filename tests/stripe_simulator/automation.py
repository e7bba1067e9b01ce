"""What happens without a request: payments by the customer, drafts that finalize themselves.

Owns the auto-pay mode, the payment "on the hosted page", and the hour after which a draft with
`auto_advance` is finalized. A background thread looks every tenth of a second.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time

from . import invoice_life
from .errors import SchemaViolation, StripeFailure
from .service import Service
from .store import Json

logger = logging.getLogger("stripe_simulator")
TICK_SECONDS = 0.1
OPEN_STATES = ("open", "uncollectible")


class Automation:
    """The acts of the simulated customer and of Stripe's own clockwork."""

    def __init__(self, service: Service) -> None:
        self._service, self._store = service, service.store
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="automation", daemon=True)

    def start(self) -> None:
        """Begin to look for what is due."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the look that is under way."""
        self._stopping.set()
        self._thread.join(5)

    @property
    def auto_pay(self) -> Json:
        """Whether sent invoices are paid by themselves, and how soon."""
        default = {"enabled": False, "delay_seconds": 0.5}
        return {**default, **self._store.setting("auto_pay", {})}

    def set_auto_pay(self, *, enabled: bool, delay_seconds: float = 0.5) -> Json:
        """Switch the mode."""
        mode = {"enabled": enabled, "delay_seconds": delay_seconds}
        self._store.set_setting("auto_pay", mode)
        return self.auto_pay

    def pay(self, invoice_id: str) -> Json:
        """Pay an invoice as its customer would on the hosted page."""
        with self._store.transaction():
            call = self._service.call()
            invoice = call.get("invoice", invoice_id, param="invoice")
            invoice_life.refuse_unpayable(invoice)
            shown = invoice_life.take_payment(call, invoice, out_of_band=False)
        self._service.after_commit()
        return shown

    def look(self) -> None:
        """Do everything that is due at this moment."""
        now = self._service.clock.now()
        for invoice in self._store.select("invoice", "state = 'draft'"):
            due = invoice["automatically_finalizes_at"]
            if due is not None and due <= now:
                self._finalize(invoice["id"])
        mode = self.auto_pay
        if mode["enabled"]:
            for invoice in self._store.select("invoice", "state = 'open'"):
                asked = asked_at(invoice)
                if asked is not None and asked + mode["delay_seconds"] <= time.time():
                    self.pay(invoice["id"])

    def _finalize(self, invoice_id: str) -> None:
        with self._store.transaction():
            call = self._service.call()
            invoice = call.get("invoice", invoice_id, param="invoice")
            if invoice["status"] == "draft":
                invoice_life.finalize_draft(call, invoice, auto_advance=True)
        self._service.after_commit()

    def _loop(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            try:
                self.look()
            except sqlite3.ProgrammingError:
                return  # the store was closed under us
            except StripeFailure as failure:
                logger.warning("not done automatically: %s", failure.message)
            except SchemaViolation as violation:
                self._service.record_violation(violation.what, violation.problems)
            except Exception:
                logger.exception("automation failed")


def asked_at(invoice: Json) -> float | None:
    """When the customer was asked to pay: sent, or to be charged automatically."""
    if invoice["collection_method"] == "charge_automatically" and invoice["auto_advance"]:
        return 0.0
    sent = invoice.get("_sent_at")
    return None if sent is None else float(sent)
