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
from metering.models.rollups import DailyUsage, HourlyUsage, UsageDay, UsageHour, UsageTotal
from metering.models.usage import (
    EventKey,
    EventKeySecret,
    EventKind,
    Resolution,
    UnratedReason,
    UnratedUsage,
    UsageArchive,
    UsageEvent,
    UsagePeriod,
    UsageRun,
    UsageState,
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
