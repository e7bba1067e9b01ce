"""Modes and the meters that every installation has."""

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """How usage was served."""

    SERVERLESS = "serverless"
    BATCH = "batch"
    DEDICATED_SERVERLESS = "dedicated_serverless"
    DEDICATED = "dedicated"


INPUT_TOKENS = "input_tokens"  # uncached input only: meters are disjoint
CACHED_INPUT_TOKENS = "cached_input_tokens"
OUTPUT_TOKENS = "output_tokens"
GPU_SECONDS = "gpu_seconds"

MAX_QUANTITY = 2**53 - 1


@dataclass(frozen=True, slots=True)
class MeterSpec:
    """A meter: its unit and how many units one quoted price buys."""

    key: str
    unit: str
    units_per_price: int


BUILT_IN_METERS = (
    MeterSpec(INPUT_TOKENS, "token", 1_000_000),
    MeterSpec(CACHED_INPUT_TOKENS, "token", 1_000_000),
    MeterSpec(OUTPUT_TOKENS, "token", 1_000_000),
    MeterSpec(GPU_SECONDS, "gpu_second", 3_600),
)
