"""What the finance people of the demo do: sign contracts, true one up, let closes pass.

Ada asks and Ben approves: nobody approves what they asked for, and the demo shows that too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.demo import cast
from tests.demo.client import ApiClient, ApiProblem
from tests.demo.service import Service, last_line


@dataclass
class People:
    """One REST client for each key."""

    ada: ApiClient
    ben: ApiClient
    agent: ApiClient


@dataclass(frozen=True, slots=True)
class Signed:
    """A contract and the id of its active commit."""

    contract: cast.Contract
    commit_id: str


def finance_client(service: Service, name: str) -> ApiClient:
    """A client for a finance user, who is made if there is none of that name."""
    printed = service.manage("create_api_key", "--kind", "finance", "--user", name)
    return ApiClient(service.url, last_line(printed))


def agent_client(service: Service) -> ApiClient:
    """A client that may post usage and do nothing else."""
    printed = service.manage("create_api_key", "--kind", "agent", "--name", "demo gateway")
    return ApiClient(service.url, last_line(printed))


def sign(people: People, contract: cast.Contract) -> Signed:
    """Make the customer and its commit, and activate it: the first instalment is invoiced."""
    people.ada.post(
        "/customers",
        {"key": contract.key, "name": contract.name, "email": cast.email(contract),
         "timezone": contract.timezone},
        once=f"demo/customer/{contract.key}",
    )  # fmt: skip
    commit = people.ada.post(
        "/commits",
        {
            "customer": contract.key,
            "starts_on": cast.STARTS_ON.isoformat(),
            "quarters": cast.TERM_QUARTERS,
            "instalment": contract.instalment,
            "discount": contract.discount,
            "grace_hours": cast.GRACE_HOURS,
            "auto_approve": {"max_overage": contract.max_overage},
        },
        once=f"demo/commit/{contract.key}",
    )
    people.ada.post(f"/commits/{commit['id']}/activate", once=f"demo/activate/{contract.key}")
    return Signed(contract, commit["id"])


def true_up(people: People, signed: Signed) -> list[str]:
    """Preview, ask, be refused one's own approval, and have it approved; what happened, in words.

    Raises AssertionError if the maker could approve.
    """
    route = f"/commits/{signed.commit_id}/true-ups"
    wanted = {"amount": cast.TRUE_UP_AMOUNT}
    preview = people.ada.post(f"{route}?preview=true", wanted)
    asked = people.ada.post(route, wanted, once=f"demo/true-up/{signed.contract.key}")
    words = [
        f"{signed.contract.name} trues up by {dollars_word(cast.TRUE_UP_AMOUNT)} a quarter; "
        f"left of this quarter {dollars_word(preview['before']['available'])} -> "
        f"{dollars_word(preview['after']['available'])} (preview)"
    ]
    try:
        people.ada.post(f"/true-ups/{asked['id']}/approve")
    except ApiProblem as problem:
        words.append(f"ada may not approve what she asked for: {problem.status} {problem.code}")
    else:
        raise AssertionError("ada approved her own true-up")
    people.ben.post(f"/true-ups/{asked['id']}/approve")
    words.append("ben approves")
    return words


def quarter(people: People, signed: Signed, index: int) -> dict[str, Any]:
    """One quarter as the service shows it."""
    for row in people.ada.listed(f"/commits/{signed.commit_id}/quarters"):
        if row["index"] == index:
            found: dict[str, Any] = row
            return found
    raise LookupError(f"{signed.contract.key} has no quarter {index}")


def approve_if_asked(people: People, signed: Signed, index: int) -> str | None:
    """Look at the plan of a close that no rule may let pass, and approve exactly that plan."""
    if quarter(people, signed, index)["state"] != "planned":
        return None
    plan = people.ada.get(f"/commits/{signed.commit_id}/quarters/{index}/plan")
    people.ada.post(
        f"/commits/{signed.commit_id}/quarters/{index}/approve", {"digest": plan["digest"]}
    )
    why = "; ".join(plan["needs_human"]) or "no rule lets it pass"
    return f"ada approves {signed.contract.name}'s close of Q{index} ({why})"


def dollars_word(amount: str) -> str:
    """A decimal string of the API, to the cent, for reading."""
    return f"${Decimal(amount):,.2f}"


def rfc3339(instant: datetime) -> str:
    """As the API writes instants."""
    return instant.isoformat().replace("+00:00", "Z")
