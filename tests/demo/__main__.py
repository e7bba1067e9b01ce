"""`python -m tests.demo` (make demo): see README.md for what it plays and what it prints.

SERVE=0 ends after the summary; TRACE names another trace; DATA_DIR and PORT are as for make serve.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from billing.config.launcher import files
from tests.demo import cast, contracts, home, logins, service, summary, timeline, traffic
from tests.demo.agent import MeteringAgent, UsageRefused
from tests.demo.client import ApiClient, ApiProblem
from tests.demo.contracts import People, Signed
from tests.demo.timeline import say
from tests.demo.trace import TracedRequest, TraceRefused, read_trace

TRACE = Path(__file__).parents[1] / "data" / "azure_llm_inference_2023_conv.csv"
FAILURES = (
    ApiProblem, OSError, AssertionError, UsageRefused, TraceRefused, home.HomeRefused,
    service.ServiceFailed, timeline.NothingHappened,
)  # fmt: skip


@dataclass
class Played:
    """What the play left: who, with which contracts, and what the agent was told."""

    people: People
    signed: Sequence[Signed]
    agent: MeteringAgent
    scale: int


class Stopped(BaseException):
    """Ctrl-C, SIGTERM or a closed terminal."""


def main() -> int:
    """The exit status: 0 only if everything happened and the books agree."""
    began = time.monotonic()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        trace = read_trace(Path(os.environ.get("TRACE", "").strip() or TRACE))
        with empty_service() as (running, ada):
            played = play(running, ada, trace)
            sound = tell(running, played, trace, began)
            if os.environ.get("SERVE", "").strip() != "0":
                while running.process.poll() is None:
                    time.sleep(0.5)
        return 0 if sound else 1
    except Stopped:
        return 0
    except FAILURES as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1


def _stop(_signal: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # Once is enough: the stopping takes its time.
    raise Stopped


@contextmanager
def empty_service() -> Iterator[tuple[service.Service, ApiClient]]:
    """A service without customers, and Ada's key to it."""
    directory = files.data_directory()
    port = service.choose_port()
    for place in (directory, home.beside(directory)):
        replaced = home.prepare(place)
        say(f"starting the service on {place}{', in place of the last demo' * replaced} ...")
        with ExitStack() as resources:
            running = resources.enter_context(service.running(place, port))
            ada = contracts.finance_client(running, "ada")
            if not list(ada.listed("/customers")):
                home.mark(place)
                yield running, ada
                return
        if os.environ.get("DATABASE_URL"):
            break
        say(f"{place} holds somebody's customers: it is left alone")
    raise home.HomeRefused("the database has customers already: name an empty one")


def play(running: service.Service, ada: ApiClient, trace: Sequence[TracedRequest]) -> Played:
    """Live through the whole calendar."""
    scale = traffic.choose_scale(trace)
    events = traffic.spread(trace, scale)
    say(f"{len(trace):,} requests of the trace; each stands for {scale:,} of its size")
    running.control_simulator("auto_pay", {"enabled": True, "delay_seconds": 0.2})
    ada.post("/sandbox/clock", {"now": contracts.rfc3339(cast.SIGNING)})
    say(f"it is {cast.SIGNING:%Y-%m-%d %H:%M} UTC; importing {cast.PROVIDER}'s list prices")
    running.manage("import_prices", "--provider", cast.PROVIDER)
    ben = contracts.finance_client(running, "ben")
    people = People(ada, ben, contracts.agent_client(running))
    signed = [contracts.sign(people, contract) for contract in cast.CAST]
    for one in signed:
        say(f"{one.contract.name} ({one.contract.character}) commits "
            f"{contracts.dollars_word(one.contract.instalment)} a quarter")  # fmt: skip
    agent = MeteringAgent(people.agent)
    line = timeline.Timeline(people, agent, signed, events)
    timeline.wait_until("the first instalments are paid", line.all_paid)
    line.live()
    return Played(people, signed, agent, scale)


def tell(
    running: service.Service, played: Played, trace: Sequence[TracedRequest], began: float
) -> bool:
    """Print the summary; whether the books agree and everything that was sent is in them."""
    totals = summary.Totals()
    for signed in played.signed:
        print("\n" + summary.tell(played.people.ada, signed, totals))
    ledger_ok, verdict = summary.check_ledger(running)
    say(f"\ncheck_ledger: {verdict}")
    tally = played.agent.tally
    complete = (tally.accepted, totals.input_tokens, totals.output_tokens) == (
        len(trace), tally.input_tokens, tally.output_tokens,
    )  # fmt: skip
    if not complete:
        say(f"the service counts {totals.input_tokens} tokens in and {totals.output_tokens} out, "
            f"the agent {tally.input_tokens} and {tally.output_tokens}")  # fmt: skip
    _tell_logins(running, played.signed)
    say(summary.machine_line({
        "requests_replayed": tally.accepted,
        "scale": played.scale,
        "input_tokens": totals.input_tokens,
        "output_tokens": totals.output_tokens,
        "events_sent": tally.sent,
        "events_accepted": tally.accepted,
        "duplicates": tally.duplicates,
        "used_total": f"{totals.used:.12f}",
        "invoiced_total_cents": totals.invoiced_cents,
        "ledger_ok": ledger_ok,
        "seconds": round(time.monotonic() - began, 1),
    }))  # fmt: skip
    return ledger_ok and complete


def _tell_logins(running: service.Service, signed: Sequence[Signed]) -> None:
    """Make passwords, once, and print them with the addresses."""
    wanted: list[logins.Login] = [
        {"user": name, "password": secrets.token_urlsafe(9), "customer": None}
        for name in ("ada", "ben")
    ]
    wanted += [
        {"user": one.contract.key, "password": secrets.token_urlsafe(9),
         "customer": one.contract.key}
        for one in signed
    ]  # fmt: skip
    logins.ask_for(running, wanted)
    say(f"\ndashboard  {running.url}/\nadmin      {running.url}/admin/\n"
        f"API        {running.url}/api/schema/\n")  # fmt: skip
    for login in wanted:
        role = f"customer {login['customer']}" if login["customer"] else "finance"
        say(f"login {login['user']:<8} password {login['password']}   ({role})")
    if os.environ.get("SERVE", "").strip() == "0":
        say(f"\n`make serve` with DATA_DIR={running.data_dir} shows this again")
    else:
        say("\nserving until Ctrl-C")


if __name__ == "__main__":
    sys.exit(main())
