"""The burn-down of one quarter as a drawing: remaining money by day, as SVG coordinates.

Rendered on the server (templates/web/chart.html) without any script. The line is what was granted
less what has been used up to each day's end; below zero it is overage.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal

from billing.domain.money import ZERO
from billing.templatetags import ledger_formats as formats
from commits.services.balances import PACE_DAYS, Balance

WIDTH, HEIGHT = 760, 300
LEFT, RIGHT, TOP, BOTTOM = 70, 14, 16, 34
_NICE = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))
DAY = timedelta(days=1)
Point = tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis."""

    at: str
    label: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that the template draws, in SVG user units."""

    title: str
    description: str
    line: str
    area: str
    over_area: str
    pace: str
    forecast: str
    now_x: str
    end_x: str
    zero_y: str
    last_x: str
    last_y: str
    is_over: bool
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


@dataclass(frozen=True, slots=True)
class _Scale:
    """From instants and dollars to user units."""

    start: datetime
    end: datetime
    low: Decimal
    high: Decimal

    def x(self, at: datetime) -> Decimal:
        share = Decimal((at - self.start).total_seconds()) / Decimal(
            (self.end - self.start).total_seconds()
        )
        return LEFT + min(max(share, ZERO), Decimal(1)) * (WIDTH - LEFT - RIGHT)

    def y(self, dollars: Decimal) -> Decimal:
        share = (self.high - dollars) / (self.high - self.low)
        return TOP + share * (HEIGHT - TOP - BOTTOM)


def burn_down(balance: Balance, days: Mapping[date, Decimal]) -> Chart:
    """The chart of the quarter that a balance is of, with its usage by UTC day."""
    quarter, now = balance.quarter, balance.as_of
    until = min(max(now, quarter.starts_at), quarter.ends_at)
    points = list(_remaining(balance.granted, days, quarter.starts_at, until))
    ahead = _forecast(points[-1], days, quarter.ends_at, now)
    low = min([ZERO, *(value for _, value in [*points, *ahead])])
    step = _step(max(balance.granted, Decimal(1)) - low)
    scale = _Scale(
        quarter.starts_at, quarter.ends_at, -_ceiling(-low, step), _top(balance.granted, step)
    )
    drawn = [(scale.x(at), scale.y(value)) for at, value in points]
    zero = scale.y(ZERO)
    last_x, last_y = drawn[-1]
    return Chart(
        title=f"Money remaining in Q{quarter.index}, day by day",
        description=_describe(balance, points),
        line=_path(drawn),
        area=_area([p for p in _clipped(drawn, zero, above=True)], zero),
        over_area=_area([p for p in _clipped(drawn, zero, above=False)], zero),
        pace=_path(
            [(scale.x(quarter.starts_at), scale.y(balance.granted)), (scale.x(scale.end), zero)]
        ),
        forecast=_path([(scale.x(at), scale.y(value)) for at, value in [points[-1], *ahead]])
        if ahead
        else "",
        now_x=_u(scale.x(until)),
        end_x=_u(scale.x(quarter.ends_at)),
        zero_y=_u(zero),
        last_x=_u(last_x),
        last_y=_u(last_y),
        is_over=points[-1][1] < 0,
        x_ticks=tuple(_x_ticks(scale)),
        y_ticks=tuple(_y_ticks(scale, step)),
    )


def _remaining(
    granted: Decimal, days: Mapping[date, Decimal], start: datetime, until: datetime
) -> Iterator[tuple[datetime, Decimal]]:
    """(end of day, what is left) from the quarter's start until now."""
    left, at = granted, start
    yield at, left
    while at < until:
        following = datetime.combine(at.astimezone(UTC).date() + DAY, datetime.min.time(), UTC)
        left -= days.get(at.astimezone(UTC).date(), ZERO)
        at = min(following, until)
        yield at, left


def _forecast(
    last: tuple[datetime, Decimal], days: Mapping[date, Decimal], end: datetime, now: datetime
) -> list[tuple[datetime, Decimal]]:
    """Straight on to the quarter's end at the pace of the last two weeks."""
    at, left = last
    since = (now - timedelta(days=PACE_DAYS)).date()
    spent = sum((amount for day, amount in days.items() if day > since), ZERO)
    if at >= end or not spent:
        return []
    counted = max(min(len([d for d in days if d <= now.date()]), PACE_DAYS), 1)
    ahead = Decimal((end - at).total_seconds()) / 86_400
    return [(end, left - spent / counted * ahead)]


def _clipped(points: list[Point], zero: Decimal, *, above: bool) -> Iterator[Point]:
    """The line cut at zero: the part above it, or below. SVG's y grows downwards."""
    before: Point | None = None
    for x, y in points:
        if before is not None and (before[1] - zero) * (y - zero) < 0:
            share = (zero - before[1]) / (y - before[1])
            yield before[0] + share * (x - before[0]), zero
        yield x, min(y, zero) if above else max(y, zero)
        before = (x, y)


def _area(points: list[Point], zero: Decimal) -> str:
    if not points or all(y == zero for _, y in points):
        return ""
    return _path([(points[0][0], zero), *points, (points[-1][0], zero)]) + "Z"


def _path(points: list[Point]) -> str:
    return "M" + "L".join(f"{_u(x)} {_u(y)}" for x, y in points)


def _u(value: Decimal) -> str:
    return f"{value:.1f}"


def _step(span: Decimal) -> Decimal:
    """A round distance between the lines of the grid, for about four of them."""
    rough = span / 5
    power = Decimal(1).scaleb(rough.adjusted())
    return next(nice * power for nice in _NICE if nice * power >= rough)


def _ceiling(value: Decimal, step: Decimal) -> Decimal:
    return (value / step).to_integral_value(ROUND_CEILING) * step


def _top(granted: Decimal, step: Decimal) -> Decimal:
    return max(_ceiling(granted, step), granted * Decimal("1.02"), step)


def _y_ticks(scale: _Scale, step: Decimal) -> Iterator[Tick]:
    value = scale.low
    while value <= scale.high:
        label = formats.dollars(value).removesuffix(".00")
        yield Tick(_u(scale.y(value)), label, strong=value == 0)
        value += step


def _x_ticks(scale: _Scale) -> Iterator[Tick]:
    """The first of each month in the quarter, and its two ends."""
    yield Tick(_u(scale.x(scale.start)), formats.day(scale.start).rsplit(" ", 1)[0])
    at = scale.start.astimezone(UTC)
    while True:
        at = (at.replace(day=1, hour=0, minute=0) + timedelta(days=32)).replace(day=1)
        if at > scale.end - 5 * DAY:
            break
        if at > scale.start + 5 * DAY:
            yield Tick(_u(scale.x(at)), f"{at.day} {at:%b}")
    yield Tick(_u(scale.x(scale.end)), formats.day(scale.end).rsplit(" ", 1)[0])


def _describe(balance: Balance, points: list[tuple[datetime, Decimal]]) -> str:
    at, left = points[-1]
    now = (
        f"{formats.dollars(-left)} of overage at the committed rate"
        if left < 0
        else f"{formats.dollars(left)} remaining"
    )
    return (
        f"{formats.dollars(balance.granted)} granted for the quarter from "
        f"{formats.instant(balance.quarter.starts_at)} to "
        f"{formats.instant(balance.quarter.ends_at)}. As of {formats.instant(at)}: {now}. "
        "The dashed line is an even pace to zero at the quarter's end; the dotted line goes on "
        f"at the pace of the last {PACE_DAYS} days. Below zero is overage."
    )
