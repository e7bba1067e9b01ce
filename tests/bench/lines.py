"""What the bench prints: one JSON object a line, and the medians that it rests on."""

import json
import sys
from collections.abc import Sequence
from statistics import median


def line(measure: str, value: float, against: float, *, unit: str = "events/s") -> str:
    """One measure. `against` is the other figure of the same run, `ratio` = value / against."""
    return json.dumps(
        {
            "measure": measure,
            "value": _rounded(value),
            "unit": unit,
            "against": _rounded(against),
            "ratio": round(value / against, 3) if against else None,
        }
    )


def medians(
    measure: str, values: Sequence[float], against: Sequence[float], *, unit: str = "events/s"
) -> str:
    """A measure of interleaved rounds: medians, because the machine is never ours alone."""
    return line(measure, median(values), median(against), unit=unit)


def note(text: str) -> None:
    """How far the bench has come, for whoever watches; never on standard output."""
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()


def _rounded(figure: float) -> float | int:
    return round(figure) if abs(figure) >= 1_000 else round(figure, 3)
