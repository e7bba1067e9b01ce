"""The canonical spelling of a close's inputs: what digests are of, and may never change."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commits.domain.chain import Grant, QuarterInput, UsageSlice
from commits.domain.close_inputs import (
    CloseInputs,
    EarlierQuarter,
    UsageGroup,
    canonical,
    inputs_from_json,
)
from commits.domain.policies import RolloverPolicy


def spelled(value: object) -> object:
    """The spelling as it was first defined, for json.dumps to ask."""
    if isinstance(value, Decimal):
        return format(value.normalize(), "f") if value else "0"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    raise TypeError(type(value))


def of(kind: type[msgspec.Struct], **own: st.SearchStrategy[object]) -> st.SearchStrategy[Any]:
    """Any value of a kind: fields not named here are what their types say."""
    return st.builds(kind, **(dict.fromkeys(kind.__struct_fields__, ...) | own))


def some(one: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(one, max_size=3).map(tuple)


MONEY = st.decimals("-1e25", "1e25", places=12) | st.just(Decimal("1E+3"))
INSTANTS = st.none() | st.datetimes(timezones=st.just(UTC))
GROUPS = some(of(UsageGroup, rate=MONEY))
QUARTERS = of(
    QuarterInput,
    grants=some(of(Grant, amount=MONEY, expires_at=INSTANTS)),
    usage=some(of(UsageSlice, amount=MONEY, until=INSTANTS)),
    policy=of(RolloverPolicy, fraction=MONEY, cap=st.none() | MONEY),
    refunded=MONEY,
)
EARLIER = of(EarlierQuarter, closed_overage=MONEY, given_back=MONEY, late_groups=GROUPS)
INPUTS = of(CloseInputs, quarters=some(QUARTERS), groups=GROUPS, earlier=some(EARLIER))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(inputs=INPUTS)
def test_inputs_are_spelled_as_json_with_sorted_keys(inputs: CloseInputs) -> None:
    text = canonical(inputs)
    assert text == json.dumps(inputs, sort_keys=True, separators=(",", ":"), default=spelled)
    assert inputs_from_json(text) == inputs
