"""Signing of commits, successors, and the life of an invoice after it was made."""

from datetime import datetime

from .billing_run import issue
from .closing import finalize, instalment_lines, later_credits, round_off
from .facts import Chain, Facts
from .fold import fold_chain
from .happenings import Finalize, Pay, Reissue, Sign, VoidInvoice
from .quarters import boundary, quarter_starting, slots_of
from .rating import rate_all
from .terms import Commit


def sign(facts: Facts, happening: Sign) -> str:
    """Activate a commit: alone, or as the successor that continues an earlier chain."""
    commit = happening.commit
    earlier = [chain for chain in facts.chains if chain.commits[0].customer == commit.customer]
    chain = Chain([commit])
    if earlier:
        answer = _place(earlier[-1], commit)
        if answer == "refused":
            return answer
        start = boundary(commit, 1)
        if answer in ("successor", "cut") and money_from(facts, earlier[-1], start):
            return "refused"
        if answer == "successor":
            chain = earlier[-1]
            chain.commits.append(commit)
        if answer == "cut":
            _cut(facts, earlier[-1], start)
    if chain not in facts.chains:
        facts.chains.append(chain)
    quarters = fold_chain(facts, chain, rate_all(facts))
    lines = instalment_lines(chain, quarters, commit.key, 1)
    if lines and issue(facts, chain, commit.key, "activation", lines) is None:
        chain.waiting += lines
    return "ok"


def _place(chain: Chain, commit: Commit) -> str:
    """Where a new commit stands: "successor" of a chain, "apart" from it, or refused.

    A successor starts at the end of the term or of a tail quarter that is not posted; a
    signed commit "cuts" the running period of an uncommitted customer, which is no renewal.
    """
    last, start = chain.commits[-1], boundary(commit, 1)
    if chain.ended:
        end = slots_of(chain.commits, chain.ended, start, chain.cut_at)[-1].end
        return "apart" if start >= end else "refused"
    posted = [index for key, index in chain.posted if key == last.key]
    if last.quarters is None:
        cut_after = boundary(last, max(posted, default=0) + 1)
        if chain.cut_at is not None:
            return "apart" if start >= chain.cut_at else "refused"
        return "cut" if commit.committed and (not posted or start >= cut_after) else "refused"
    index = quarter_starting(last, start)
    if last.last_index is not None and start > boundary(last, last.last_index + 1):
        return "apart"
    if index is None or index <= last.quarters or index - 1 in posted:
        return "refused"
    return "successor"


def money_from(facts: Facts, chain: Chain, start: datetime) -> bool:
    """True where quarters from an instant on hold money, which does not go away with a quarter."""
    rolled = any(
        one.rolled_in
        for one in fold_chain(facts, chain, rate_all(facts))
        if one.slot.start >= start
    )
    return rolled or later_credits(facts, chain, start)


def _cut(facts: Facts, chain: Chain, at: datetime) -> None:
    """An uncommitted customer has signed: its period ends there, and its chain with it."""
    chain.cut_at = at
    keys = [slot.key for slot in slots_of(chain.commits, None, at, at)]
    if all(key in chain.posted for key in keys):
        chain.ended = keys[-1] if keys else (chain.commits[0].key, 0)
        round_off(facts, chain)


def move_invoice(facts: Facts, happening: Finalize | Pay | VoidInvoice | Reissue) -> str:
    """Finalize a draft, pay or void what is finalized, reissue what is void."""
    invoice = facts.invoices[happening.invoice - 1]
    needed, then = {
        Finalize: (("draft",), "finalized"),
        Pay: (("finalized", "uncollectible"), "paid"),
        VoidInvoice: (("finalized", "uncollectible"), "void"),
        Reissue: (("void",), "reissued"),
    }[type(happening)]
    if invoice.state not in needed or invoice.written_off:
        return "refused"
    if isinstance(happening, VoidInvoice) and invoice.credited_cents:
        return "refused"
    invoice.state = then
    if isinstance(happening, Finalize):
        finalize(facts, invoice)
    if isinstance(happening, Pay):
        invoice.paid_through = happening.through
        invoice.paid_cents = invoice.owed_cents
    if isinstance(happening, Reissue):
        again = issue(
            facts,
            facts.chain_of(invoice.commit),
            invoice.commit,
            invoice.occasion,
            list(invoice.lines),
        )
        assert again is not None
        again.revision = invoice.revision + 1
    return "ok"
