"""What metering stores: meters, prices, rate cards, usage events and their rollups."""

from metering.models.cross_checks import ReportedTotal
from metering.models.prices import (
    Meter,
    Price,
    PriceBookVersion,
    RateCard,
    RateDiscount,
    RateOverride,
)
from metering.models.private_prices import PrivatePriceRequest
from metering.models.usage import (
    DailyUsage,
    EventKey,
    EventKeySecret,
    EventKind,
    HourlyUsage,
    Resolution,
    UnratedReason,
    UnratedUsage,
    UsageArchive,
    UsageDay,
    UsageEvent,
    UsageHour,
    UsagePeriod,
    UsageRun,
    UsageState,
    UsageTotal,
    UsageVoid,
)
from metering.models.waivers import Waiver

__all__ = [
    "DailyUsage",
    "EventKey",
    "EventKeySecret",
    "EventKind",
    "HourlyUsage",
    "Meter",
    "Price",
    "PriceBookVersion",
    "PrivatePriceRequest",
    "RateCard",
    "RateDiscount",
    "RateOverride",
    "ReportedTotal",
    "Resolution",
    "UnratedReason",
    "UnratedUsage",
    "UsageArchive",
    "UsageDay",
    "UsageEvent",
    "UsageHour",
    "UsagePeriod",
    "UsageRun",
    "UsageState",
    "UsageTotal",
    "UsageVoid",
    "Waiver",
]
