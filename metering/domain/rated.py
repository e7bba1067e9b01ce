"""Rated usage as the rollups count it."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple


class RatedQuantity(NamedTuple):
    """A signed quantity of one hour of a period, at its rate in dollars per unit."""

    customer_id: int
    period_id: int
    hour: datetime
    model: str
    mode: str
    meter: str
    rate: Decimal
    quantity: int
