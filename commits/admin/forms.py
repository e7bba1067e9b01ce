"""The forms by which finance signs commits and asks for true-ups: parsing only.

What makes sense is decided by commits/domain/terms.py and the services, which name every problem.
"""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms

from billing.admin.forms import DayField, PlainForm, UtcHourField
from billing.models import Customer
from commits.api.serializers import commit_terms
from commits.domain.policies import EndOfTerm
from commits.domain.terms import CommitTerms
from commits.models import Commit, CommitState
from commits.services.true_ups import TrueUpRequest

_END_WORDS = {
    EndOfTerm.TAIL: "Tail: unused money can still be used, nothing expires",
    EndOfTerm.RENEWAL: "Renewal: a successor commit receives the rollover",
    EndOfTerm.EXPIRE: "Expire: what is left becomes breakage",
    EndOfTerm.REFUND: "Refund: what is left of paid money is refunded",
}


def _amount(text: str) -> Decimal:
    """A dollar amount as people type it: 30,000.00 or $30000."""
    try:
        return Decimal(text.strip().lstrip("$").replace(",", ""))
    except InvalidOperation:
        raise forms.ValidationError(f"{text!r} is not a dollar amount.") from None


class CommitForm(PlainForm):
    customer = forms.ModelChoiceField(Customer.objects.all())
    starts_on = DayField(help_text="First day, in the customer's contract time zone.")
    quarters = forms.IntegerField(
        required=False, min_value=1, max_value=80, help_text="Empty: uncommitted, in arrears."
    )
    instalment = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 2, "class": "page-input"}),
        help_text="Dollars per quarter; or one amount a line, for each quarter.",
    )
    discount = forms.DecimalField(initial="0", help_text="A share: 0.20 is 20 % off list.")
    price_protection = forms.BooleanField(
        required=False, initial=True, help_text="List prices are capped at those of the start."
    )
    grace_hours = forms.IntegerField(
        initial=72, min_value=0, help_text="Hours after its end before a quarter may close."
    )
    auto_approve_max_overage = forms.DecimalField(
        required=False,
        label="Close without a human up to this overage",
        help_text="Dollars. Empty: every close needs a human.",
    )
    rollover_fraction = forms.DecimalField(initial="1", help_text="1: all unused money rolls.")
    rollover_cap = forms.DecimalField(required=False, help_text="Dollars per close. Empty: none.")
    rollover_max_times = forms.IntegerField(
        required=False, min_value=0, help_text="How often a dollar may roll. Empty: no limit."
    )
    end_of_term = forms.ChoiceField(
        choices=[(kind.value, _END_WORDS[kind]) for kind in EndOfTerm], initial=EndOfTerm.TAIL
    )
    tail_quarters = forms.IntegerField(
        required=False, min_value=1, help_text="Quarters after the term. Empty: no limit."
    )
    period_months = forms.ChoiceField(
        choices=[("3", "Three months"), ("1", "One month (uncommitted only)")], label="Period"
    )
    overrides = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "page-input"}),
        help_text="Fixed prices, one a line: model or sku, mode, meter, price.",
    )

    def clean_instalment(self) -> list[Decimal]:
        found = [_amount(part) for part in re.split(r"[;\n]+", self.data["instalment"]) if part]
        if not found:
            raise forms.ValidationError("At least one amount; 0 for an uncommitted customer.")
        return found

    def clean_overrides(self) -> list[dict[str, Any]]:
        rows = []
        for line in filter(None, map(str.strip, self.cleaned_data["overrides"].splitlines())):
            parts = [part.strip() for part in line.split(",")]
            if len(parts) != 4:
                raise forms.ValidationError(f"Not four values: {line!r}")
            model, mode, meter, price = parts
            rows.append({"model": model, "mode": mode, "meter": meter, "price": _amount(price)})
        return rows

    def terms(self) -> CommitTerms:
        """The cleaned data as terms, read as the API's body is."""
        given = dict(self.cleaned_data)
        amounts = given["instalment"]
        customer: Customer = given["customer"]
        return commit_terms(
            {
                "customer": customer.key,
                "starts_on": given["starts_on"],
                "quarters": given["quarters"],
                "instalment": amounts if len(amounts) > 1 else amounts[0],
                "discount": given["discount"],
                "period_months": int(given["period_months"]),
                "overrides": given["overrides"],
                "price_protection": given["price_protection"],
                "grace_hours": given["grace_hours"],
                "rollover": {
                    "fraction": given["rollover_fraction"],
                    "cap": given["rollover_cap"],
                    "max_times": given["rollover_max_times"],
                },
                "end_of_term": {"kind": given["end_of_term"], "quarters": given["tail_quarters"]},
                "auto_approve": {"max_overage": given["auto_approve_max_overage"]},
            },
            customer.timezone,
        )


class TrueUpForm(PlainForm):
    """What an increase needs; the customer's page leaves `commit` and finance's fields out."""

    commit = forms.ModelChoiceField(
        Commit.objects.filter(state=CommitState.ACTIVE, quarter_count__isnull=False)
    )
    amount = forms.DecimalField(help_text="Dollars more per quarter, whole cents.")
    from_quarter = forms.IntegerField(
        required=False, min_value=1, help_text="Empty: the running quarter."
    )
    through_quarter = forms.IntegerField(
        required=False, min_value=1, help_text="Empty: the last quarter of the term."
    )
    discount = forms.DecimalField(
        required=False, help_text="A better discount, such as 0.25. Empty: unchanged."
    )
    effective_at = UtcHourField(required=False, label="Better discount from")
    bill_now = forms.BooleanField(
        required=False, help_text="On its own invoice at approval, not at the quarter's close."
    )

    def wanted(self) -> TrueUpRequest:
        """The cleaned data as the service takes it."""
        given = {key: value for key, value in self.cleaned_data.items() if key != "commit"}
        return TrueUpRequest(**given)
