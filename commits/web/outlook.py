"""The effect of a true-up, before and after, as rows that finance and the customer both read."""

from billing.templatetags import ledger_formats as formats
from commits.services.previews import Outlook, TrueUpPreview


def rows(preview: TrueUpPreview) -> list[tuple[str, str, str]]:
    """(what, without the true-up, with it)."""
    before, after = preview.before, preview.after
    instalments = dict(before.instalments)
    later = [
        (
            f"Instalment of Q{index}",
            formats.dollars(instalments[index]) if index in instalments else "-",
            formats.dollars(amount),
        )
        for index, amount in after.instalments
    ]
    return [
        (
            f"Invoice at the close of Q{before.quarter_index}, as of now",
            formats.cents(before.invoice_cents),
            formats.cents(after.invoice_cents),
        ),
        (
            "of which true-ups",
            formats.cents(before.true_ups_billed_cents),
            formats.cents(after.true_ups_billed_cents),
        ),
        ("Overage", formats.dollars(before.overage), formats.dollars(after.overage)),
        ("Available", formats.dollars(before.available), formats.dollars(after.available)),
        ("Runs out", _runs_out(before), _runs_out(after)),
        *later,
    ]


def _runs_out(outlook: Outlook) -> str:
    if outlook.runs_out_at is None:
        return "not at this pace"
    return f"{formats.day(outlook.runs_out_at)} (UTC)"
