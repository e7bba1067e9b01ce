"""Two better discounts that start in the same hour: the better one counts, whoever came last."""

from decimal import Decimal as D

import pytest

from billing.models import Customer
from commits.models import Commit
from commits.services.true_ups import TrueUpRequest, approve_true_up, request_true_up
from tests.commits.world import at, figures, use

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_smaller_one_approved_later_takes_nothing_away(acme: Customer, commit: Commit) -> None:
    asked = [
        request_true_up(
            commit_id=commit.pk,
            request=TrueUpRequest(amount=D(5), discount=D(discount)),
            actor="ada",
            now=at("2026-01-05"),
        )
        for discount in ("0.3", "0.4")
    ]
    approve_true_up(true_up_id=asked[1].pk, actor="ben", now=at("2026-01-06T00:10"))
    approve_true_up(true_up_id=asked[0].pk, actor="ben", now=at("2026-01-06T00:20"))
    use(acme, "100", "2026-01-07", now=at("2026-01-07"))
    assert figures(commit)[0][2] == "75"
