"""The proof of the promises: every booked figure re-derived from grants, usage and postings.

Together with metering's proof (rollups from events) and billing's (balances from postings) this is
what `check_ledger` runs. Problems are sentences; an empty list means that the books agree.
"""

from collections import defaultdict
from collections.abc import Container, Iterable
from datetime import date
from decimal import Decimal
from uuid import UUID

from django.db.models import Q, QuerySet, Sum

from billing.domain.journal import AccountCode, EntryCode
from billing.domain.money import ZERO, from_cents
from billing.models import CreditNote, Invoice, InvoiceLine, LedgerAccount, Posting
from billing.services import write_offs
from commits.domain.chain import QuarterFigures, run_chain
from commits.models import BookedDay, Commit, CommitState, Grant, Quarter, QuarterState
from commits.services.bookings import booked_view
from commits.services.chains import ChainState, load_chains, quarter_inputs
from commits.services.daily import stale_origins
from commits.services.refunds import BILLED, never_billed
from metering.services import totals

CHUNK = 200
# Invoices that stand in the books: issued and not voided, or voided and written off.
_BOOKED = ~Q(state__in=["draft", "void"]) | Q(write_offs__state="approved")
Accounts = dict[tuple[str, UUID | None, int | None], Decimal]


def commit_problems() -> list[str]:
    """All that is wrong between the chains, their booked figures and the journal."""
    origins = list(
        Commit.objects.filter(quarters__isnull=False)
        .order_by("pk")
        .values_list("origin", flat=True)
        .distinct()
    )
    problems: list[str] = []
    waiting = frozenset(stale_origins())
    for start in range(0, len(origins), CHUNK):
        states = load_chains(origin_ids=origins[start : start + CHUNK])
        accounts = _accounts([pk for state in states.values() for pk in state.commits])
        for state in states.values():
            problems += chain_problems(state, accounts, waiting)
    return problems


def _accounts(commit_ids: Iterable[UUID]) -> Accounts:
    """Balances; deferred revenue as if invoices that turned out uncollectible had never done so.

    Their unused part went back to it, but stays drawable: only the claim is given up.
    """
    found = LedgerAccount.objects.filter(commit_id__in=list(commit_ids))
    balances = {(a.code, a.commit_id, a.quarter_index): a.balance for a in found}
    written_off = Posting.objects.filter(
        account__in=found,
        account__code=AccountCode.DEFERRED_REVENUE,
        entry__code=EntryCode.INVOICE_UNCOLLECTIBLE,
    )
    for posting in written_off.select_related("account"):
        account = posting.account
        balances[account.code, account.commit_id, account.quarter_index] -= posting.amount
    return balances


def chain_problems(state: ChainState, accounts: Accounts, waiting: Container[UUID]) -> list[str]:
    """Problems of one chain."""
    figures = run_chain(quarter_inputs(state, booked_view(state)))
    problems = []
    for quarter, item in zip(state.quarters, figures, strict=True):
        problems += _quarter_problems(state, quarter, item, accounts)
    problems += _usage_problems(state, state.origin.pk not in waiting)
    problems += _commit_account_problems(state, figures, accounts)
    problems += _billing_problems(state) + _refund_problems(state)
    return [f"{state.origin.customer.key}: {problem}" for problem in problems]


def _quarter_problems(
    state: ChainState, quarter: Quarter, figures: QuarterFigures, accounts: Accounts
) -> list[str]:
    """Booked figures are the chain's, grants say the same, deferred revenue is what they leave."""
    name = f"commit {quarter.commit_id} Q{quarter.index}"
    pairs = {
        "drawn": (quarter.booked_drawn, figures.drawn),
        "overage": (quarter.booked_overage, figures.overage),
        "rolled in": (quarter.booked_rolled_in, figures.rolled_in),
        "rolled out": (quarter.booked_rolled_out, figures.rolled_out),
        "breakage": (
            quarter.booked_breakage_paid + quarter.booked_breakage_credit,
            figures.breakage,
        ),
    }
    problems = [
        f"{name}: {what} is booked as {booked}, the chain says {right}"
        for what, (booked, right) in pairs.items()
        if booked != right
    ]
    stored = {
        grant.ref: grant
        for grant in (*state.issued[quarter.position], *state.rollovers[quarter.position])
    }
    # What a refund still has to give back is deferred until then; below a cent it is rounding.
    remaining, invoiced_not = figures.kept - quarter.refund_residue, ZERO
    for item in figures.grants:
        remaining += item.remaining
        row = stored.pop(item.grant.ref, None)
        if row is None:
            problems.append(f"{name}: grant {item.grant.ref} is not stored")
        elif (row.amount, row.drawn, row.rolled_out, row.broken, row.returned) != (
            item.grant.amount,
            item.drawn,
            item.rolled_out,
            item.broken,
            item.returned,
        ):
            problems.append(f"{name}: grant {row.ref} does not say what the chain says")
    problems += [f"{name}: grant {ref} has no source" for ref, row in stored.items() if row.amount]
    # What was below Stripe's minimum to the end of its commit, rounding has taken.
    rounded = never_billed(state, _ended(state)).get(quarter.position, ZERO)
    for grant in state.issued[quarter.position]:
        if grant.kind in BILLED and not _is_issued(grant):
            invoiced_not += grant.amount
    invoiced_not -= rounded
    deferred = -accounts.get((AccountCode.DEFERRED_REVENUE, quarter.commit_id, quarter.index), ZERO)
    if deferred != remaining - invoiced_not:
        problems.append(
            f"{name}: deferred revenue is {deferred}, but {remaining} of its grants remain "
            f"and {invoiced_not} are not invoiced"
        )
    return problems


def _is_issued(grant: Grant) -> bool:
    """Whether the invoice that bills a grant has been booked (and not been voided since), or what
    it billed was given up."""
    if grant.invoice_id is None:
        return False
    first = grant.invoice
    if first is None:
        return False
    revisions = type(first).objects.filter(
        commit_id=first.commit_id, occasion=first.occasion, occasion_ref=first.occasion_ref
    )
    return revisions.filter(_BOOKED).exists()


def _ended(state: ChainState) -> set[UUID]:
    return {pk for pk, commit in state.commits.items() if commit.state == CommitState.ENDED}


def _usage_problems(state: ChainState, up_to_date: bool) -> list[str]:
    """What is booked by day is what is booked in all and, unless the next drawdown still has
    something to book (not `up_to_date`), what metering has."""
    problems = []
    ids = [quarter.pk for quarter in state.quarters]
    booked: dict[int, dict[date, Decimal]] = defaultdict(dict)
    for row in BookedDay.objects.filter(quarter__in=ids):
        booked[row.quarter_id][row.day] = row.amount
    live = totals.day_amounts(period_ids=[q.usage_period_id for q in state.quarters])
    for quarter in state.quarters:
        days = booked[quarter.pk]
        in_all = quarter.booked_drawn + quarter.booked_overage
        name = f"commit {quarter.commit_id} Q{quarter.index}"
        if quarter.state == QuarterState.POSTED:
            continue
        if sum(days.values(), ZERO) != in_all:
            problems.append(f"{name}: booked by day and booked in all differ")
        now = {
            day: amount for day, amount in live.get(quarter.usage_period_id, {}).items() if amount
        }
        before = {day: amount for day, amount in days.items() if amount}
        if up_to_date and quarter.state != QuarterState.APPROVED and now != before:
            problems.append(f"{name}: usage by day is not what the journal has booked")
    return problems


def _commit_account_problems(
    state: ChainState, figures: list[QuarterFigures], accounts: Accounts
) -> list[str]:
    """Revenue and receivables per chain: drawn, overage and breakage are where they belong."""

    def total(code: AccountCode) -> Decimal:
        return sum((accounts.get((code, pk, None), ZERO) for pk in state.commits), ZERO)

    drawn = sum((item.drawn for item in figures), ZERO)
    overage = sum((item.overage for item in figures), ZERO)
    broken = sum((item.breakage_paid for item in figures), ZERO)
    given_back = sum((quarter.overage_given_back for quarter in state.quarters), ZERO)
    # Rounding holds: overage and money in advance that nobody will bill, less money that nobody
    # can be paid.
    rounded = total(AccountCode.ROUNDING) + sum((q.refund_residue for q in state.quarters), ZERO)
    rounded -= sum(never_billed(state, _ended(state)).values(), ZERO)
    unbilled = overage + given_back - _issued_overage(state) - rounded
    credited = _credited(state)
    expected = {
        AccountCode.USAGE_REVENUE: -drawn,
        AccountCode.OVERAGE_REVENUE: credited - overage,
        AccountCode.BREAKAGE_REVENUE: -broken,
        AccountCode.UNBILLED_RECEIVABLE: unbilled,
    }
    return [
        f"commits {', '.join(map(str, state.commits))}: {code} is {total(code)}, expected {right}"
        for code, right in expected.items()
        if total(code) != right
    ]


def _booked_notes(state: ChainState) -> QuerySet[CreditNote]:
    return CreditNote.objects.filter(
        commit_id__in=list(state.commits), state__in=["approved", "issued"]
    )


def _credited(state: ChainState) -> Decimal:
    """Overage revenue that credit notes made by hand have taken back."""
    notes = _booked_notes(state).filter(debited=AccountCode.OVERAGE_REVENUE)
    return from_cents(int(notes.aggregate(total=Sum("total_cents"))["total"] or 0))


def _refund_problems(state: ChainState) -> list[str]:
    """The money of a quarter that is gone is what credit notes have given back and what write-offs
    have withdrawn."""
    notes = _booked_notes(state).filter(debited=AccountCode.DEFERRED_REVENUE).order_by()
    found = {
        (row["commit_id"], row["quarter_index"]): row["cents"]
        for row in notes.values("commit_id", "quarter_index").annotate(cents=Sum("total_cents"))
    }
    for asked in write_offs.written_off_of(commit_ids=state.commits):
        for commit_id, index, cents in asked.withdrawn:
            key = (UUID(commit_id), index)
            found[key] = found.get(key, 0) + cents
    return [
        f"commit {quarter.commit_id} Q{quarter.index}: {quarter.refunded_cents} cents count as "
        f"gone, its credit notes and write-offs say {cents}"
        for quarter in state.quarters
        if (cents := found.get((quarter.commit_id, quarter.index), 0)) != quarter.refunded_cents
    ]


def _issued_overage(state: ChainState) -> Decimal:
    """Overage dollars on invoices that are booked: void ones took theirs back, for good or until
    they are written off."""
    booked = Invoice.objects.filter(_BOOKED, commit_id__in=list(state.commits))
    cents = InvoiceLine.objects.filter(
        invoice__in=booked, kind__in=["overage", "late_usage"]
    ).aggregate(total=Sum("amount_cents"))["total"]
    return from_cents(int(cents or 0))


def _billing_problems(state: ChainState) -> list[str]:
    """Overage cents that a chain counts as billed are the cents on its first revisions' lines."""
    lines = dict(
        InvoiceLine.objects.filter(
            invoice__commit_id__in=list(state.commits),
            invoice__revision=1,
            kind__in=["overage", "late_usage"],
        )
        .order_by()
        .values_list("kind")
        .annotate(cents=Sum("amount_cents"))
    )
    counted = {
        "overage": sum(quarter.overage_billed_cents for quarter in state.quarters),
        "late_usage": sum(quarter.late_billed_cents for quarter in state.quarters),
    }
    return [
        f"{cents} {kind} cents are counted as billed, the lines say {lines.get(kind, 0)}"
        for kind, cents in counted.items()
        if cents != lines.get(kind, 0)
    ]
