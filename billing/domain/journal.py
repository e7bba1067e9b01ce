"""The journal: what an entry is, and one small function for each kind of entry.

An entry is a balanced set of signed postings (debit positive, credit negative) that is never
changed. Every kind has a stable dotted code. Amounts are exact dollars in twelve decimals.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from uuid import UUID

import msgspec

from billing.domain.accounts import (
    PER_COMMIT,
    PER_QUARTER,
    AccountCode,
    AccountKey,
    EntryCode,
    Scope,
    SortKey,
)
from billing.domain.errors import InvariantViolation
from billing.domain.money import QUANTUM, ZERO, plain

# The journal is read together with its accounts: whoever builds entries imports both from here.
__all__ = [
    "PER_COMMIT",
    "PER_QUARTER",
    "AccountCode",
    "AccountKey",
    "Entry",
    "EntryCode",
    "Posting",
    "Scope",
    "SortKey",
    "SpelledPosting",
    "breakage_moves",
    "credit_moves",
    "entry_problems",
    "fingerprint",
    "given_back_moves",
    "late_moves",
    "merged",
    "payment_moves",
    "postings_of",
    "residue_moves",
    "reversed_postings",
    "rollover_moves",
    "spelled_postings",
    "uncollectible_moves",
    "usage_code",
    "usage_moves",
]


# Values that are made by the hundred thousand are structs: frozen as dataclasses are, and made in a
# fifth of the time.
class Posting(msgspec.Struct, frozen=True):
    """A signed amount on one account: a debit is positive, a credit negative."""

    account: AccountKey
    amount: Decimal


class Entry(msgspec.Struct, frozen=True):
    """A balanced set of postings, before it is booked.

    `key` is unique for ever and deterministic: booking the same key again is a no-op when the
    content is the same and an error when it is not. `origin_quarter_index` names the quarter that
    caused a difference booked later. `evidence` is plain JSON (strings, integers, lists, objects)
    that says what the entry rests on.
    """

    key: str
    code: EntryCode
    scope: Scope
    accounting_date: date
    postings: tuple[Posting, ...]
    quarter_index: int | None = None
    origin_quarter_index: int | None = None
    description: str = ""
    invoice_id: UUID | None = None
    usage_date: date | None = None
    evidence: dict[str, object] = {}

    def __post_init__(self) -> None:
        problems = entry_problems(self)
        if problems:
            raise InvariantViolation("unbalanced_entry", f"{self.key}: {'; '.join(problems)}")


def entry_problems(entry: Entry) -> list[str]:
    """All that is wrong with an entry, not just the first thing."""
    problems = []
    amounts = [posting.amount for posting in entry.postings]
    if sum(amounts, ZERO):
        problems.append("debits and credits differ")
    if len(amounts) < 2:
        problems.append("fewer than two postings")
    if not all(amounts):
        problems.append("a posting of zero")
    if amounts != [amount.quantize(QUANTUM) for amount in amounts]:
        problems.append("more than twelve decimals")
    return problems


def postings_of(
    scope: Scope, *moves: tuple[AccountCode, int | None, Decimal]
) -> tuple[Posting, ...]:
    """Postings from (account code, quarter, signed amount), zeros dropped, accounts merged."""
    # In one scope an account is told by its code and quarter, which are hashed in no time.
    sums: dict[tuple[AccountCode, int | None], Decimal] = {}
    for code, quarter, amount in moves:
        if amount:
            name = (code, quarter if code in PER_QUARTER else None)
            sums[name] = sums[name] + amount if name in sums else amount
    return tuple(
        [
            Posting(scope.account(code, quarter), amount)
            for (code, quarter), amount in sums.items()
            if amount
        ]
    )


def merged(postings: Iterable[Posting]) -> tuple[Posting, ...]:
    """One posting for each account, in the order of their first; those of zero dropped."""
    sums: dict[AccountKey, Decimal] = {}
    for posting in postings:
        sums[posting.account] = sums.get(posting.account, ZERO) + posting.amount
    return tuple(Posting(account, amount) for account, amount in sums.items() if amount)


def reversed_postings(postings: Sequence[Posting]) -> tuple[Posting, ...]:
    """The exact reverse of a set of postings."""
    return tuple(Posting(posting.account, -posting.amount) for posting in postings)


# The account and the amount of a posting as books and fingerprints spell them.
SpelledPosting = tuple[SortKey, str]


def spelled_postings(entry: Entry) -> list[SpelledPosting]:
    """The postings of an entry in the order given: accounts by their sort keys, amounts in text."""
    return [(posting.account.sort_key, plain(posting.amount)) for posting in entry.postings]


def fingerprint(entry: Entry, spelled: Sequence[SpelledPosting] | None = None) -> str:
    """SHA-256 over all that an entry says, in hex: what tells a repetition from a contradiction.

    Postings count as a set; `booked_at` is left out, because a retry is booked at another time.
    `spelled` are its spelled postings, for who has them already.
    """
    scope = entry.scope
    said = [
        entry.key,
        entry.code,
        scope.customer_id,
        scope.commit_id or "",
        entry.quarter_index,
        entry.origin_quarter_index,
        entry.accounting_date,
        entry.usage_date,
        entry.description,
        entry.invoice_id or "",
        entry.evidence,
        sorted(
            [
                [str(customer), commit, str(quarter), code, amount]
                for (customer, commit, quarter, code), amount in (
                    spelled_postings(entry) if spelled is None else spelled
                )
            ]
        ),
    ]
    # Compact, keys sorted, dates and UUIDs as they are usually written, and not a letter escaped
    # that JSON does not ask for.
    return hashlib.sha256(_SPELLER.encode(said)).hexdigest()


_SPELLER = msgspec.json.Encoder(order="sorted")


# --- one function for each kind of entry -------------------------------------------------------

A = AccountCode


def usage_moves(
    quarter_index: int, drawn: Decimal, overage: Decimal
) -> tuple[tuple[AccountCode, int | None, Decimal], ...]:
    """Drawdown: deferred revenue to usage revenue. Overage: unbilled receivable to overage revenue.

    Signed: negative figures are the reverse (a void of unposted usage), and `drawn` > 0 with
    `overage` < 0 is money covering overage.
    """
    return (
        (A.DEFERRED_REVENUE, quarter_index, drawn),
        (A.USAGE_REVENUE, None, -drawn),
        (A.UNBILLED_RECEIVABLE, None, overage),
        (A.OVERAGE_REVENUE, None, -overage),
    )


def usage_code(drawn: Decimal, overage: Decimal) -> EntryCode:
    """The kind of entry that a change of (drawn, overage) of an unposted quarter is."""
    if drawn > 0 > overage:
        return EntryCode.MONEY_COVERS_OVERAGE
    if drawn < 0 or overage < 0:
        return EntryCode.USAGE_REVERSED
    return EntryCode.USAGE_DRAWDOWN if drawn else EntryCode.USAGE_OVERAGE


def rollover_moves(
    from_quarter: int, to_quarter: int, amount: Decimal
) -> tuple[tuple[AccountCode, int | None, Decimal], ...]:
    """Unused money moves from the closing quarter's deferred revenue to the next one's."""
    return (
        (A.DEFERRED_REVENUE, from_quarter, amount),
        (A.DEFERRED_REVENUE, to_quarter, -amount),
    )


def breakage_moves(
    quarter_index: int, paid: Decimal, credit: Decimal
) -> tuple[tuple[AccountCode, int | None, Decimal], ...]:
    """Expiry of paid money is breakage revenue; of a credit, the reverse of its contra-revenue."""
    return (
        (A.DEFERRED_REVENUE, quarter_index, paid + credit),
        (A.BREAKAGE_REVENUE, None, -paid),
        (A.CONTRA_REVENUE, None, -credit),
    )


def credit_moves(
    quarter_index: int, amount: Decimal
) -> tuple[tuple[AccountCode, int | None, Decimal], ...]:
    """An SLA or promotional credit is drawable balance against contra-revenue."""
    return ((A.CONTRA_REVENUE, None, amount), (A.DEFERRED_REVENUE, quarter_index, -amount))


def late_moves(
    quarter_index: int,
    rolled_in: Decimal,
    drawn: Decimal,
    overage: Decimal,
    breakage_paid: Decimal,
    breakage_credit: Decimal,
) -> tuple[tuple[AccountCode, int | None, Decimal], ...]:
    """Late usage of posted quarters: the changes of their figures, booked in the open quarter.

    All signed. What the chain no longer rolls into the open quarter (`quarter_index`), or no longer
    keeps in the last one for a refund, was drawn; breakage that it undoes was revenue already and
    becomes usage revenue.
    """
    return (
        (A.DEFERRED_REVENUE, quarter_index, -rolled_in),
        (A.BREAKAGE_REVENUE, None, -breakage_paid),
        (A.CONTRA_REVENUE, None, -breakage_credit),
        (A.USAGE_REVENUE, None, -drawn),
        (A.UNBILLED_RECEIVABLE, None, overage),
        (A.OVERAGE_REVENUE, None, -overage),
    )


def given_back_moves(
    quarter_index: int, amount: Decimal
) -> tuple[tuple[AccountCode, int | None, Decimal], ...]:
    """Overage already invoiced that the chain took back becomes drawable balance.

    The late entry has taken the overage off revenue and off the unbilled receivable; as it was
    invoiced, the receivable is put back and owed to the customer as balance instead.
    """
    return ((A.UNBILLED_RECEIVABLE, None, amount), (A.DEFERRED_REVENUE, quarter_index, -amount))


def residue_moves(
    unbilled: Decimal, quarter_index: int | None = None, kept: Decimal = Decimal(0)
) -> tuple[tuple[AccountCode, int | None, Decimal], ...]:
    """What rounding left when a commit ends: unbilled overage, signed, and money `kept` in its
    last quarter that is less than a cent and can be refunded to nobody."""
    return (
        (A.ROUNDING, None, unbilled - kept),
        (A.UNBILLED_RECEIVABLE, None, -unbilled),
        (A.DEFERRED_REVENUE, quarter_index, kept),
    )


def payment_moves(
    cents_paid: Decimal, *, outside_stripe: bool
) -> tuple[tuple[AccountCode, int | None, Decimal], ...]:
    """An invoice was paid: through Stripe into clearing, outside Stripe into the bank."""
    received = A.BANK if outside_stripe else A.STRIPE_CLEARING
    return ((received, None, cents_paid), (A.ACCOUNTS_RECEIVABLE, None, -cents_paid))


def uncollectible_moves(
    earned: Decimal, unused: Sequence[tuple[int, Decimal]]
) -> tuple[tuple[AccountCode, int | None, Decimal], ...]:
    """A bad debt: the earned part is an expense, the unused part was never owed.

    `unused` gives (quarter, dollars) of instalments that no usage has drawn yet.
    """
    total = earned + sum((amount for _, amount in unused), ZERO)
    return (
        (A.BAD_DEBT, None, earned),
        *((A.DEFERRED_REVENUE, quarter, amount) for quarter, amount in unused),
        (A.ACCOUNTS_RECEIVABLE, None, -total),
    )
