"""The command: `python -m tests.stripe_simulator --port 12111 --data stripe.sqlite3 ...`."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading

from .simulator import StripeSimulator


def main() -> None:
    """Serve until interrupted; print `ready` on a line of its own once requests are answered."""
    parser = argparse.ArgumentParser(prog="stripe_simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=12111)
    parser.add_argument("--data", help="SQLite file; without it everything is kept in memory")
    parser.add_argument("--webhook-url")
    parser.add_argument("--webhook-secret", default="whsec_simulator")
    parser.add_argument("--auto-pay", action="store_true", default=None)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="stripe simulator: %(message)s")
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with StripeSimulator(
        port=options.port,
        data=options.data,
        webhook_url=options.webhook_url,
        webhook_secret=options.webhook_secret,
        auto_pay=options.auto_pay,
    ) as simulator:
        sys.stdout.write(f"listening on {simulator.url}\nready\n")
        sys.stdout.flush()
        stopping.wait()


if __name__ == "__main__":
    main()
