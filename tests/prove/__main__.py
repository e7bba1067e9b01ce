"""`make prove`: FOR seconds of random contracts against the oracle, from SEED on.

Each round of contracts has a seed of its own, printed before it begins; SEED=<that seed> begins
with the same round. The last line is JSON. Exit code 1 where the books and the oracle differ.
"""

from __future__ import annotations

import json
import os
import sys
import time

from tests.prove.database import throwaway_database

ROUND = 10  # contracts
STEPS = 30


def main() -> int:
    """Run rounds until the time is up, then say what was found."""
    first = int(os.environ.get("SEED") or int(time.time()) % 1_000_000)
    seconds = float(os.environ.get("FOR") or 60)
    with throwaway_database():
        differences = prove(first, seconds)
    return 1 if differences else 0


def prove(first: int, seconds: float) -> int:
    """Rounds of contracts; the number of stories in which the books differ."""
    from tests.prove.machine import COUNTS
    from tests.prove.rounds import run_round
    from tests.prove.shrinking import smaller

    print(f"proving for {seconds:.0f} s from seed {first}", flush=True)
    open_stories = tell_open()
    until = time.monotonic() + seconds
    seed, found = first, 0
    while seed == first or (time.monotonic() < until and found < 5):
        error = run_round(seed, contracts=ROUND, steps=STEPS)
        if error is None:
            print(f"seed {seed}: {COUNTS['contracts']} contracts, {COUNTS['steps']} steps so far",
                  flush=True)  # fmt: skip
        else:
            found += 1
            error = smaller(error, seconds=60)
            print(f"seed {seed}: DIFFERENCE\n{error}\nstory:", flush=True)
            for happening in error.story:
                print(f"    {happening!r},")
        seed += 1
    print(dict(COUNTS))
    print(
        json.dumps(
            {
                "seed": first,
                "contracts": COUNTS["contracts"],
                "steps": COUNTS["steps"],
                "differences": found + open_stories,
            }
        )
    )
    return found + open_stories


def tell_open() -> int:
    """The stories known to differ: how many still do."""
    from tests.prove.shrinking import failure
    from tests.prove.stories import OPEN

    found = 0
    for name, story in OPEN.items():
        error = failure(story, every_day=False, lazy=False)
        print(f"open story, {'differs' if error else 'agrees by now'}: {name}", flush=True)
        found += error is not None
    return found


if __name__ == "__main__":
    sys.exit(main())
