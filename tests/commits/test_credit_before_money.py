"""A credit that is drawn before paid money changes what the stored grants say, at once."""

from decimal import Decimal as D

import pytest

from billing.models import Customer
from commits.models import Commit, Grant
from commits.services import proof
from commits.services.credits import CreditRequest, approve_credit, request_credit
from commits.services.daily import draw_down
from tests.commits.world import at, use

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_credit_takes_the_place_of_the_instalment(acme: Customer, commit: Commit) -> None:
    use(acme, "50", "2026-02-10", now=at("2026-02-11"))
    draw_down(now=at("2026-02-12"))
    credit = request_credit(
        commit_id=commit.pk,
        request=CreditRequest(amount=D(100), reason="an outage"),
        actor="ada",
        now=at("2026-02-13"),
    )
    approve_credit(credit_id=credit.pk, actor="ben", now=at("2026-02-13"))
    drawn = dict(Grant.objects.filter(quarter__index=1).values_list("kind", "drawn"))
    assert drawn == {"credit": D(50), "instalment": D(0)}
    assert proof.commit_problems() == []
